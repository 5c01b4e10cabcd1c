//! Which repository, commit and pull request a job runs for, as GitHub Actions tells it.
//!
//! Variables: <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>. Events:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>.

use std::{fs::File, io::Read as _, path::PathBuf};

use serde_json::Value;

use crate::{
    ForgeError, Variables,
    environment::{Environment, is_commit, wrong},
};

/// Largest event read, in bytes; GitHub's limit for what it sends to webhooks is 25 MB.
const MAX_EVENT: u64 = 32 << 20;
/// The longest name of an owner or a repository.
const MAX_NAME: usize = 100;

/// What a job runs for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Where the API lies.
    pub api_url: String,
    /// The repository's owner.
    pub owner: String,
    /// The repository's name.
    pub repository: String,
    /// The commit that was checked out; for pull requests a merge that exists only for the run.
    pub commit: String,
    /// The commit that people see: the head of a pull request, else the same.
    pub head_commit: String,
    /// The full reference, `refs/heads/main` or `refs/pull/1/merge`.
    pub reference: String,
    /// The pull request, if there is one.
    pub pull_request: Option<u64>,
    /// Whether its commits come from another repository: the token may then write nothing.
    pub is_from_fork: bool,
    /// The page of this run.
    pub run_url: Option<String>,
}

impl Context {
    /// Reads the environment of a job, and the event's file.
    ///
    /// # Errors
    /// When a variable is missing or not what GitHub says it is.
    pub fn from_environment(variable: Variables<'_>) -> Result<Self, ForgeError> {
        let event = match Environment(variable).get("GITHUB_EVENT_PATH") {
            Some(path) => read_event(PathBuf::from(path))?,
            None => Value::Null,
        };
        Self::new(variable, &event)
    }

    fn new(variable: Variables<'_>, event: &Value) -> Result<Self, ForgeError> {
        let job = Environment(variable);
        let full_name = job.needed("GITHUB_REPOSITORY")?;
        let (owner, repository) = full_name
            .split_once('/')
            .filter(|(owner, name)| is_name(owner) && is_name(name))
            .ok_or_else(|| wrong("GITHUB_REPOSITORY", "it is not OWNER/NAME"))?;
        let commit = job.commit("GITHUB_SHA")?;
        let reference = job.needed("GITHUB_REF")?;
        if !reference.starts_with("refs/") || reference.len() > 1024 {
            return Err(wrong("GITHUB_REF", "it is no full reference such as refs/heads/main"));
        }
        let pull_request = &event["pull_request"];
        let head_commit =
            pull_request["head"]["sha"].as_str().filter(|text| is_commit(text)).unwrap_or(&commit).to_owned();
        let head_repository = pull_request["head"]["repo"]["full_name"].as_str();
        let server = job.get("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".to_owned());
        let run = job.get("GITHUB_RUN_ID").filter(|run| run.bytes().all(|byte| byte.is_ascii_digit()));
        Ok(Self {
            api_url: job.get("GITHUB_API_URL").unwrap_or_else(|| "https://api.github.com".to_owned()),
            owner: owner.to_owned(),
            repository: repository.to_owned(),
            head_commit,
            pull_request: number(event, &reference),
            // A fork that is gone has no repository any more.
            is_from_fork: pull_request.is_object() && head_repository != Some(&full_name),
            run_url: run.map(|run| format!("{server}/{full_name}/actions/runs/{run}")),
            commit,
            reference,
        })
    }

    /// The path of something of the repository.
    pub(super) fn route(&self, rest: &str) -> String {
        format!("/repos/{}/{}/{rest}", self.owner, self.repository)
    }
}

/// The pull request of an event: its own, the one that a comment is on, or the one of the reference.
fn number(event: &Value, reference: &str) -> Option<u64> {
    let own = event["pull_request"]["number"].as_u64();
    let commented = event["issue"]["number"].as_u64().filter(|_| event["issue"]["pull_request"].is_object());
    let of_reference = || reference.strip_prefix("refs/pull/")?.split('/').next()?.parse().ok();
    own.or(commented).or_else(of_reference)
}

fn read_event(path: PathBuf) -> Result<Value, ForgeError> {
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_EVENT + 1).read_to_end(&mut bytes));
    read.map_err(|source| ForgeError::File { path, source })?;
    let wrong = |why: String| wrong("GITHUB_EVENT_PATH", why);
    if bytes.len() as u64 > MAX_EVENT {
        return Err(wrong(format!("the event is larger than {MAX_EVENT} bytes")));
    }
    serde_json::from_slice(&bytes).map_err(|error| wrong(format!("the event is no JSON: {error}")))
}

fn is_name(text: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !matches!(text, "" | "." | "..") && text.len() <= MAX_NAME && text.bytes().all(is_fine)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COMMIT: &str = "0123456789012345678901234567890123456789";
    const HEAD: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcd";

    fn context(variables: &[(&str, &str)], event: &Value) -> Result<Context, String> {
        let usual = [("GITHUB_REPOSITORY", "team/app"), ("GITHUB_SHA", COMMIT), ("GITHUB_REF", "refs/pull/7/merge")];
        let find = |name: &str| {
            let found = variables.iter().chain(&usual).find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Context::new(&find, event).map_err(|error| error.to_string())
    }

    #[test]
    fn events_say_which_commit_people_see() {
        let pull =
            |repository: Value| json!({"pull_request": {"number": 7, "head": {"sha": HEAD, "repo": repository}}});
        let own = context(&[("GITHUB_RUN_ID", "12")], &pull(json!({"full_name": "team/app"}))).unwrap();
        assert_eq!((own.commit.as_str(), own.head_commit.as_str(), own.pull_request), (COMMIT, HEAD, Some(7)));
        assert!(!own.is_from_fork);
        assert_eq!(own.run_url.as_deref(), Some("https://github.com/team/app/actions/runs/12"));
        assert!(context(&[], &pull(json!({"full_name": "other/app"}))).unwrap().is_from_fork);
        assert!(context(&[], &pull(Value::Null)).unwrap().is_from_fork);
        let push = context(&[("GITHUB_REF", "refs/heads/main")], &json!({"head_commit": {}})).unwrap();
        assert_eq!((push.head_commit.as_str(), push.pull_request, push.is_from_fork), (COMMIT, None, false));
        let comment = json!({"issue": {"number": 9, "pull_request": {}}});
        assert_eq!(context(&[("GITHUB_REF", "refs/heads/main")], &comment).unwrap().pull_request, Some(9));
    }

    #[test]
    fn what_is_no_name_becomes_no_path() {
        for (name, value) in [
            ("GITHUB_REPOSITORY", "team"),
            ("GITHUB_REPOSITORY", "team/app/x"),
            ("GITHUB_REPOSITORY", "../app"),
            ("GITHUB_REPOSITORY", "team/a?b"),
            ("GITHUB_REPOSITORY", ""),
            ("GITHUB_SHA", "main"),
            ("GITHUB_SHA", "../../../../../../../../../../../../../x"),
            ("GITHUB_REF", "main"),
        ] {
            let error = context(&[(name, value)], &Value::Null).unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
