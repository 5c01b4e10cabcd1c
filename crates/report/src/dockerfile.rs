//! The Dockerfile that an image was built from: which of its lines made which layer.
//!
//! Format: <https://docs.docker.com/reference/dockerfile/>. An image's history tells each layer's instruction as the
//! builder ran it, so layers are found by comparing that with the file's text: BuildKit writes
//! `RUN /bin/sh -c make # buildkit`, the classic builder `/bin/sh -c make` and `/bin/sh -c #(nop) COPY file:… in /x`.

use std::ops::RangeInclusive;

use portcullis_model::LayerInfo;

/// A Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Its path in the repository, for links.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// An instruction, continuation lines joined.
struct Instruction {
    lines: RangeInclusive<usize>,
    keyword: String,
    /// What follows the keyword, without flags, spaces collapsed.
    body: String,
}

/// The longest Dockerfile that is looked at.
const MAX_BYTES: usize = 1024 * 1024;

impl Dockerfile {
    /// The lines, from 1, that made `layer`; those of the last `FROM` for a layer of the base image. None where the
    /// file holds no `FROM` at all.
    pub(crate) fn lines_of(&self, layer: &LayerInfo) -> Option<RangeInclusive<usize>> {
        let instructions = self.instructions();
        let last_from = instructions.iter().rposition(|instruction| instruction.keyword == "FROM")?;
        let (before, last_stage) = instructions.split_at(last_from);
        let made = layer.created_by.as_deref().and_then(history);
        let found = made.and_then(|made| {
            // An earlier stage can be the base of the last one.
            last_stage.iter().chain(before).find(|instruction| made.is_of(instruction))
        });
        found.or(last_stage.first()).map(|instruction| instruction.lines.clone())
    }

    /// The length of a line, in characters.
    pub(crate) fn line_length(&self, line: usize) -> usize {
        self.text.lines().nth(line.saturating_sub(1)).map_or(0, |line| line.chars().count())
    }

    fn instructions(&self) -> Vec<Instruction> {
        let text = if self.text.len() <= MAX_BYTES { self.text.as_str() } else { "" };
        let escape = text
            .lines()
            .map_while(|line| line.trim_start().strip_prefix('#'))
            .find_map(|comment| comment.trim().strip_prefix("escape=").and_then(|value| value.trim().chars().next()))
            .unwrap_or('\\');
        let mut instructions = Vec::new();
        let mut lines = text.lines().enumerate();
        while let Some((first, line)) = lines.next() {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let mut last = first;
            let mut joined = String::new();
            let mut part = line;
            loop {
                let trimmed = part.trim_end();
                match trimmed.strip_suffix(escape) {
                    // A comment between continuation lines is dropped, and the instruction goes on.
                    _ if last > first && part.trim_start().starts_with('#') => {}
                    Some(part) => joined.extend([part, " "]),
                    None => {
                        joined.push_str(trimmed);
                        break;
                    }
                }
                let Some((number, next)) = lines.next() else { break };
                (last, part) = (number, next);
            }
            for end in heredocs(&joined) {
                for (number, line) in lines.by_ref() {
                    last = number;
                    if line.trim_start_matches('\t') == end {
                        break;
                    }
                }
            }
            let (keyword, body) = joined.trim_start().split_once(char::is_whitespace).unwrap_or((joined.trim(), ""));
            instructions.push(Instruction {
                lines: first + 1..=last + 1,
                keyword: keyword.to_ascii_uppercase(),
                body: normal(body),
            });
        }
        instructions
    }
}

/// The words that end the heredocs of a line: `RUN <<EOF`, `COPY <<-"A" <<B /x`.
fn heredocs(line: &str) -> Vec<String> {
    line.split_whitespace()
        .filter_map(|word| word.strip_prefix("<<"))
        .map(|word| word.trim_start_matches('-').trim_matches(['"', '\'']).to_owned())
        .filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .collect()
}

/// Without flags in front (`--mount=…`, `--from=…`), spaces collapsed.
fn normal(body: &str) -> String {
    let words: Vec<_> = body.split_whitespace().skip_while(|word| word.starts_with("--")).collect();
    words.join(" ")
}

/// The instruction that a history entry was made by, without what the builder adds: `RUN make`.
pub(crate) fn instruction(created_by: &str) -> Option<String> {
    let Made { keyword, body, destination: _ } = history(created_by)?;
    (!body.is_empty()).then(|| format!("{keyword} {body}"))
}

/// What a history entry says was run.
struct Made {
    keyword: String,
    body: String,
    /// The classic builder names what was copied by digest: only the destination can be compared.
    destination: Option<String>,
}

fn history(created_by: &str) -> Option<Made> {
    let text = created_by.trim();
    let text = text.strip_suffix("# buildkit").unwrap_or(text).trim();
    let made = |keyword: &str, body: &str| Made { keyword: keyword.to_owned(), body: normal(body), destination: None };
    if let Some(nop) = text.split_once("#(nop)").map(|(_, rest)| rest.trim()) {
        let (keyword, body) = nop.split_once(' ')?;
        let destination = body.split_once(" in ").map(|(_, path)| path.trim().to_owned());
        return Some(Made { destination, ..made(keyword, body) });
    }
    let (keyword, body) = match text.split_once(' ') {
        Some((keyword, body)) if keyword.chars().all(|c| c.is_ascii_uppercase()) => (keyword, body),
        _ => ("RUN", text),
    };
    // Build arguments come first: `|2 A=1 B=2 /bin/sh -c make`.
    let body = body.split_once("/bin/sh -c ").filter(|_| keyword == "RUN").map_or(body, |(_, command)| command);
    Some(made(keyword, body))
}

impl Made {
    fn is_of(&self, instruction: &Instruction) -> bool {
        if self.keyword != instruction.keyword {
            return false;
        }
        match &self.destination {
            Some(destination) => instruction
                .body
                .rsplit(' ')
                .next()
                .is_some_and(|last| last.trim_end_matches('/') == destination.trim_end_matches('/')),
            None => !self.body.is_empty() && self.body == instruction.body,
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_model::Digest;
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"# syntax=docker/dockerfile:1
FROM golang:1.22 AS build
RUN make all
FROM debian:12
# tools
RUN --mount=type=cache,target=/var/cache/apt apt-get update && \
    # a comment in between
    apt-get install -y \
      curl
COPY --from=build /out/app /opt/app
ADD files /srv/
RUN <<EOF
echo one
EOF
run ["/bin/true"]
"#;

    fn check(created_by: &str, lines: RangeInclusive<usize>) {
        let dockerfile = Dockerfile { path: "Dockerfile".to_owned(), text: TEXT.to_owned() };
        let layer = LayerInfo { digest: None, diff_id: Digest::of(b""), created_by: Some(created_by.to_owned()) };
        assert_eq!(dockerfile.lines_of(&layer), Some(lines), "{created_by}");
    }

    #[test]
    fn layers_are_found_by_their_history() {
        check("RUN /bin/sh -c apt-get update && apt-get install -y curl # buildkit", 6..=9);
        check("RUN |1 VERSION=1 /bin/sh -c apt-get update &&     apt-get install -y       curl # buildkit", 6..=9);
        check("/bin/sh -c apt-get update && apt-get install -y curl", 6..=9);
        check("COPY /out/app /opt/app # buildkit", 10..=10);
        check("/bin/sh -c #(nop) ADD dir:0123 in /srv ", 11..=11);
        check("RUN /bin/sh -c make all # buildkit", 3..=3);
        // The base image's own.
        check("/bin/sh -c #(nop) ADD file:0123 in / ", 4..=4);
        check("", 4..=4);
    }

    #[test]
    fn instructions_are_told_as_they_were_written() {
        for (created_by, told) in [
            ("RUN |1 VERSION=1 /bin/sh -c make  all # buildkit", Some("RUN make all")),
            ("/bin/sh -c make", Some("RUN make")),
            ("/bin/sh -c #(nop) ADD file:0123 in / ", Some("ADD file:0123 in /")),
            ("COPY app /opt/app # buildkit", Some("COPY app /opt/app")),
            ("", None),
        ] {
            assert_eq!(instruction(created_by).as_deref(), told);
        }
    }

    #[test]
    fn no_stage_no_line() {
        let dockerfile = Dockerfile { path: String::new(), text: "RUN x\n".to_owned() };
        let layer = LayerInfo { digest: None, diff_id: Digest::of(b""), created_by: None };
        assert_eq!(dockerfile.lines_of(&layer), None);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(FROM |RUN |\\\\\n|\n|<<EOF|#|escape=`|.){0,60}", created_by in ".{0,40}") {
            let dockerfile = Dockerfile { path: String::new(), text };
            let layer = LayerInfo { digest: None, diff_id: Digest::of(b""), created_by: Some(created_by) };
            if let Some(lines) = dockerfile.lines_of(&layer) {
                prop_assert!(*lines.start() >= 1 && lines.start() <= lines.end());
                prop_assert!(*lines.end() <= dockerfile.text.lines().count());
            }
        }
    }
}
