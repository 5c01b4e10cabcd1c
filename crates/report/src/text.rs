//! Text from untrusted images, made safe for whoever reads it.
//!
//! Unicode's advice on what must not reach a reader as it is: <https://www.unicode.org/reports/tr36/>.

use std::{borrow::Cow, fmt::Write as _};

use unicode_width::UnicodeWidthChar as _;

/// The most bytes of one untrusted text that any format for people looks at.
pub(crate) const MAX_SHOWN_BYTES: usize = 4096;

/// Control characters, characters that reorder or hide the text around them, and what XML cannot hold.
pub(crate) const fn is_invisible(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

/// `text` with what is invisible escaped as `\u{…}`, and cut after [`MAX_SHOWN_BYTES`].
///
/// Pipelines read commands from their logs: `::error::` at the start of a line (GitHub), `##[…]` (GitHub, Azure),
/// `##vso[` (Azure) and `##teamcity[` anywhere in one. Those lose their second sign, too.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let shown = head(text, MAX_SHOWN_BYTES);
    let is_plain = shown.len() == text.len() && !shown.starts_with("::") && !shown.contains("##");
    if is_plain && !shown.chars().any(is_invisible) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(shown.len() + 16);
    let mut previous = None;
    for (index, character) in shown.char_indices() {
        let is_command = (character == '#' && previous == Some('#')) || (index == 1 && shown.starts_with("::"));
        if is_command || is_invisible(character) {
            // Writing to a String cannot fail.
            _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        } else {
            out.push(character);
        }
        previous = Some(character);
    }
    if shown.len() < text.len() {
        out.push('…');
    }
    Cow::Owned(out)
}

/// The first bytes of `text`, at most `max`, without cutting a character in two.
pub(crate) fn head(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// [`clean`]ed `text` in at most `max` characters, an ellipsis at the end where it was cut.
pub(crate) fn limited(text: &str, max: usize) -> String {
    let clean = clean(text);
    match clean.char_indices().nth(max) {
        None => clean.into_owned(),
        Some(_) => clean.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// How many columns of a terminal `text` takes.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// [`clean`]ed `text` in at most `max` columns, an ellipsis at the end where it was cut.
pub(crate) fn cut(text: &str, max: usize) -> String {
    let clean = clean(text);
    if columns(&clean) <= max {
        return clean.into_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for character in clean.chars() {
        let width = character.width().unwrap_or(0);
        if used + width + 1 > max {
            break;
        }
        used += width;
        out.push(character);
    }
    out.push('…');
    out
}

/// `text` (clean already) in lines of at most `width` columns, broken at spaces; a word that is longer than a line is
/// broken anywhere.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let needed = columns(word);
        if used > 0 && used + 1 + needed > width {
            lines.push(String::new());
            used = 0;
        }
        for character in (used > 0).then_some(' ').into_iter().chain(word.chars()) {
            let wide = character.width().unwrap_or(0);
            if used + wide > width {
                lines.push(String::new());
                used = 0;
            }
            match lines.last_mut() {
                // A command to a pipeline, where a line begins with it: see [`clean`].
                Some(line) if character == ':' && line == ":" => {
                    line.push_str("\\u{3a}");
                    used += "\\u{3a}".len();
                }
                Some(line) => {
                    line.push(character);
                    used += wide;
                }
                None => {}
            }
        }
    }
    lines
}

/// A space of no width. Forges look for mentions and references in the text that they have rendered, where an escaped
/// sign is the sign again: `&#64;team` still calls the team. In code they look for none.
const BREAK: &str = "&#8203;";

/// `text` without what hides, as one word or sentence of Markdown: nothing in it is markup, a link, a mention or a
/// reference, but of commits: a forge links whatever it has a commit of that name for, and breaking hexadecimal numbers
/// would break every digest that somebody copies.
///
/// A word that a forge would take for a mention or a reference, such as a version with a `~`, is written as code, so that
/// it can be copied as it is. Only what cannot stand in code everywhere is broken instead.
///
/// References: <https://docs.gitlab.com/user/markdown/#gitlab-specific-references>,
/// <https://docs.github.com/en/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls>.
pub fn markdown(text: &str) -> String {
    let clean = clean(text);
    let words: Vec<_> = clean.split(' ').map(word).collect();
    words.join(" ")
}

/// One word of Markdown.
fn word(text: &str) -> String {
    // What a sentence puts around a word is not copied with it, and refers to nothing.
    let start = text.trim_start_matches('(');
    let word = start.trim_end_matches([',', '.', ';', ':', ')']);
    let (before, after) = (text.strip_suffix(start), start.strip_prefix(word));
    // A `$` before code is a formula, a `|` ends a cell of a table even in code.
    let is_code = |byte: u8| byte.is_ascii_graphic() && !b"`<>&|\\$[]".contains(&byte);
    let escaped = escaped(word);
    let word = if escaped.contains(BREAK) && word.bytes().all(is_code) { format!("`{word}`") } else { escaped };
    format!("{}{word}{}", before.unwrap_or_default(), after.unwrap_or_default())
}

/// Text with what is markup escaped, and what is a reference broken.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for (index, character) in text.char_indices() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
        let (before, after) = text.split_at(index + character.len_utf8());
        let is_token = match character {
            // Users, issues, merge requests, milestones, labels, snippets, epics; `[` is before `vulnerability:1]`, `*`
            // before `iteration:1`. At the end of a word they refer to nothing.
            '@' | '#' | '!' | '%' | '~' | '$' | '&' | '[' | '*' => !after.is_empty(),
            ':' => after.starts_with("//"),
            '.' => ends_with(before, "www."),
            '-' => ends_with(before, "gh-") && after.starts_with(|c: char| c.is_ascii_digit()),
            _ => false,
        };
        if is_token {
            out.push_str(BREAK);
        }
    }
    out
}

/// Whether `text` ends with `word`, in letters of either size.
fn ends_with(text: &str, word: &str) -> bool {
    let end = text.len().checked_sub(word.len()).and_then(|start| text.get(start..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(word))
}

/// `text` without what hides, as character data or an attribute of HTML and XML.
pub fn markup(text: &str) -> String {
    let clean = clean(text);
    let mut out = String::with_capacity(clean.len() + 8);
    for character in clean.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_line_of_wrapped_text_is_a_command() {
        for text in [" ::error::x", "xxxxxxxxxxxx ::error::x", "xxxxxxxxxxxx::error::x", "a b::c :: ::d", ":: ::"] {
            for width in 8..30 {
                let lines = wrap(text, width);
                assert!(lines.iter().all(|line| !line.starts_with("::") && columns(line) <= width), "{lines:?}");
            }
        }
        assert_eq!(wrap("std::fmt is std", 20), ["std::fmt is std"]);
    }

    #[test]
    fn what_is_invisible_is_shown() {
        for (text, shown) in [
            ("libc6", "libc6"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\nb\r", "a\\u{a}b\\u{d}"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("::error::x", ":\\u{3a}error::x"),
            ("Foo::Bar", "Foo::Bar"),
            ("##vso[x]", "#\\u{23}vso[x]"),
            ("größe", "größe"),
        ] {
            assert_eq!(clean(text), shown);
        }
        assert_eq!(clean(&"ä".repeat(1 << 20)).len(), MAX_SHOWN_BYTES + '…'.len_utf8());
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("abc", 0), "…");
        assert_eq!(wrap("aaa bbb ccccccccccccccc d", 8), ["aaa bbb", "cccccccc", "ccccccc", "d"]);
    }

    /// One line of Markdown without markup, as a reader sees it; `code` in the place of each piece of code, if given.
    fn rendered(markdown: &str, code: Option<&str>) -> String {
        let mut out = String::new();
        let mut rest = markdown;
        while let Some(character) = rest.chars().next() {
            if let Some((inside, after)) = rest.strip_prefix('`').map(|rest| rest.split_once('`').unwrap()) {
                assert!(!inside.is_empty(), "{markdown}");
                out.push_str(code.unwrap_or(inside));
                rest = after;
                continue;
            }
            let entities = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&#64;", '@'), ("&#8203;", '\u{200b}')];
            let entity = entities.into_iter().find(|(entity, _)| rest.starts_with(entity));
            let escaped = rest.strip_prefix('\\').and_then(|rest| rest.chars().next());
            let (shown, length) = match (entity, escaped) {
                (Some((entity, sign)), _) => (sign, entity.len()),
                (None, Some(sign)) if sign.is_ascii_punctuation() => (sign, 2),
                (None, _) => (character, character.len_utf8()),
            };
            out.push(shown);
            rest = &rest[length..];
        }
        out
    }

    #[test]
    fn mentions_and_references_are_code_and_can_be_copied() {
        for (text, shown) in [
            ("@team", "`@team`"),
            ("#1 !2 %3 ~4", "`#1` `!2` `%3` `~4`"),
            ("in libssl3 3.0.11-1~deb12u2, and more", "in libssl3 `3.0.11-1~deb12u2`, and more"),
            ("is so (a@b.example).", "is so (`a@b.example`)."),
            ("pkg:npm/%40a/b_c@1.0?x=y#z", "`pkg:npm/%40a/b_c@1.0?x=y#z`"),
            ("GH-1 tough-cookie tough-1", "`GH-1` tough-cookie `tough-1`"),
            ("http://a.example, WWW.a.example", "`http://a.example`, `WWW.a.example`"),
            ("1:2.3-4+b5: 11% of it (9 %), wow!", "1:2.3-4+b5: 11% of it (9 %), wow!"),
            // Not everywhere code, and the sign of a formula.
            ("[vulnerability:1]", "\\[&#8203;vulnerability:1\\]"),
            ("a|@b $5 &6", "a\\|&#64;&#8203;b \\$&#8203;5 &amp;&#8203;6"),
        ] {
            assert_eq!(markdown(text), shown);
        }
    }

    proptest! {
        #[test]
        fn cut_and_wrapped_text_fits(text in ".{0,200}", width in 8..60_usize) {
            prop_assert!(columns(&cut(&text, width)) <= width);
            for line in wrap(&clean(&text), width) {
                prop_assert!(columns(&line) <= width, "{line:?}");
            }
        }

        #[test]
        fn markdown_holds_no_bare_markup(text in "[<>@:/|`*_a\\\\\n ]{0,40}") {
            let escaped = markdown(&text);
            // A cell of a table, which is cut before code is looked for.
            prop_assert!(!escaped.replace("\\\\", "_").replace("\\|", "_").contains('|'), "{}", escaped);
            prop_assert!(!escaped.contains(['<', '>', '\n']), "{}", escaped);
            let outside = without_code(&escaped);
            prop_assert!(!outside.contains('@') && !outside.contains("://"), "{}", escaped);
        }

        /// Looked at as a forge does: in the text that it has rendered, but for code.
        #[test]
        fn no_mention_and_no_reference_stays_whole(
            text in "([@#!%~$&*:/.`()<\\\\]|\\[|a|1|www\\.|WwW\\.|https://|GH-|gh-|\\[vulnerability:|team/app|ü| ){0,20}",
        ) {
            let markdown = markdown(&text);
            let clean = clean(&text);
            prop_assert_eq!(rendered(&markdown, None).replace('\u{200b}', ""), clean);
            let lower = rendered(&markdown, Some("")).to_lowercase();
            for (index, sign) in lower.match_indices(['@', '#', '!', '%', '~', '$', '&', '[', '*']) {
                let after = &lower[index + sign.len()..];
                let is_last = after.split(' ').next().unwrap().trim_end_matches([',', '.', ';', ':', ')']).is_empty();
                prop_assert!(is_last || after.starts_with('\u{200b}'), "{sign}{after}");
            }
            for token in ["://", "www.a", "www.1", "gh-1"] {
                prop_assert!(!lower.contains(token), "{token} in {lower}");
            }
        }
    }

    /// Markdown but for its code.
    fn without_code(markdown: &str) -> String {
        let plain = markdown.replace("\\\\", "_").replace("\\`", "_");
        plain.split('`').step_by(2).collect()
    }
}
