//! When a request is repeated, and how long is waited before: pure.
//!
//! GitHub: <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>.
//! GitLab: <https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers>.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

/// The most repetitions of one request.
const MAX_REPETITIONS: u32 = 5;
/// The longest wait before one repetition.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(300);
/// Where a secondary limit says nothing else: "wait for at least one minute".
const SECONDARY: Duration = Duration::from_secs(60);
/// The first wait after an error of the forge.
const BACK_OFF: Duration = Duration::from_secs(1);

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is the answer, good or bad.
    Take,
    /// The request is sent again after this time.
    Wait(Duration),
    /// The limit lasts longer than is waited.
    TooLong(Duration),
    /// The forge fails at it, however often it is asked.
    Failing,
}

/// What is known of an answer.
pub(crate) struct Answer<'a> {
    pub(crate) method: &'a Method,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// Decides; `now` is in seconds of Unix time, `left` is what is left of the command's time.
pub(crate) fn next(answer: &Answer<'_>, repetitions: u32, now: i64, left: Duration) -> Next {
    let wait = match limit(answer, repetitions, now) {
        Some(wait) => wait,
        None if is_repeated(answer) => {
            number(answer.headers, "retry-after").map_or(BACK_OFF * 2_u32.pow(repetitions.min(8)), seconds)
        }
        None => return Next::Take,
    };
    let too_long = wait > MAX_WAIT || wait >= left || repetitions >= MAX_REPETITIONS;
    match (too_long, limit(answer, repetitions, now)) {
        (false, _) => Next::Wait(wait),
        (true, Some(_)) => Next::TooLong(wait),
        (true, None) => Next::Failing,
    }
}

/// How long a rate limit asks to wait; none where the answer tells of no limit.
fn limit(answer: &Answer<'_>, repetitions: u32, now: i64) -> Option<Duration> {
    let Answer { status, headers, body, .. } = answer;
    if !matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::FORBIDDEN) {
        return None;
    }
    if let Some(asked) = number(headers, "retry-after") {
        return Some(seconds(asked));
    }
    let is_empty = ["x-ratelimit-remaining", "ratelimit-remaining"].iter().any(|name| number(headers, name) == Some(0));
    let reset = number(headers, "x-ratelimit-reset").or_else(|| number(headers, "ratelimit-reset"));
    if let Some(reset) = reset.filter(|_| is_empty) {
        // A second more: clocks differ.
        return Some(seconds(reset.saturating_sub(now).max(0).saturating_add(1)));
    }
    let text = String::from_utf8_lossy(body.get(..4096).unwrap_or(body)).to_ascii_lowercase();
    let is_said = text.contains("rate limit") || text.contains("abuse detection");
    (is_empty || is_said || *status == StatusCode::TOO_MANY_REQUESTS).then(|| SECONDARY * 2_u32.pow(repetitions.min(8)))
}

/// Whether an error of the forge is followed by the same request: only where doing it twice does no harm.
fn is_repeated(answer: &Answer<'_>) -> bool {
    matches!(answer.status.as_u16(), 500 | 502 | 503 | 504) && *answer.method != Method::POST
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn check(method: Method, status: u16, headers: &[(&'static str, &str)], body: &str, repetitions: u32) -> Next {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { method: &method, status, headers: &map, body: body.as_bytes() };
        next(&answer, repetitions, NOW, Duration::from_secs(900))
    }

    #[test]
    fn limits_are_honoured_and_bounded() {
        let wait = |seconds| Next::Wait(Duration::from_secs(seconds));
        let (post, get) = (Method::POST, Method::GET);
        assert_eq!(check(get.clone(), 200, &[], "", 0), Next::Take);
        assert_eq!(check(post.clone(), 429, &[("retry-after", "7")], "", 0), wait(7));
        assert_eq!(check(post.clone(), 403, &[("retry-after", "7")], "", 0), wait(7));
        let reset = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1790000030")];
        assert_eq!(check(get.clone(), 403, &reset, "", 0), wait(31));
        let gone = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")];
        assert_eq!(check(get.clone(), 429, &gone, "", 0), wait(1));
        let gitlab = [("ratelimit-remaining", "0"), ("ratelimit-reset", "1790000010")];
        assert_eq!(check(get.clone(), 429, &gitlab, "", 0), wait(11));
        let secondary = r#"{"message": "You have exceeded a secondary rate limit"}"#;
        assert_eq!(check(post.clone(), 403, &[], secondary, 0), wait(60));
        assert_eq!(check(post.clone(), 403, &[], secondary, 1), wait(120));
        // An hour is not waited for.
        let hour = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1790003600")];
        assert_eq!(check(get.clone(), 403, &hour, "", 0), Next::TooLong(Duration::from_secs(3601)));
        assert_eq!(check(get.clone(), 429, &[("retry-after", "1")], "", 5), Next::TooLong(Duration::from_secs(1)));
        // A refusal is not a limit, even where a count of what is left comes with it.
        let left = [("x-ratelimit-remaining", "4000"), ("x-ratelimit-reset", "1790000030")];
        assert_eq!(check(post.clone(), 403, &left, r#"{"message": "Resource not accessible"}"#, 0), Next::Take);
        // What was perhaps done is not done twice.
        assert_eq!(check(post, 502, &[], "", 0), Next::Take);
        assert_eq!(check(get.clone(), 502, &[], "", 0), wait(1));
        assert_eq!(check(get.clone(), 502, &[], "", 2), wait(4));
        assert_eq!(check(get.clone(), 502, &[], "", 5), Next::Failing);
        assert_eq!(check(get, 503, &[("retry-after", "3")], "", 0), wait(3));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_wait_for_ever(
            status in 100_u16..600, after in ".{0,20}", reset in ".{0,20}", repetitions in 0_u32..100,
        ) {
            let mut headers = HeaderMap::new();
            for (name, value) in [("retry-after", after), ("x-ratelimit-reset", reset), ("x-ratelimit-remaining", "0".into())] {
                if let Ok(value) = http::HeaderValue::from_str(&value) {
                    headers.insert(name, value);
                }
            }
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { method: &Method::GET, status, headers: &headers, body: b"" };
            if let Next::Wait(wait) = next(&answer, repetitions, NOW, Duration::from_secs(900)) {
                prop_assert!(wait <= MAX_WAIT && repetitions < MAX_REPETITIONS);
            }
        }
    }
}
