//! Licences as packages write them become expressions of SPDX, where it is known what they mean.
//!
//! Ids: <https://spdx.org/licenses/>. Names: Debian's short names
//! (<https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/#license-specification>), Fedora's of old
//! (<https://fedoraproject.org/wiki/Licensing:Main>), PyPI's classifiers, and what poms commonly say. A name that may mean
//! several (`BSD`, `GPL`, `Apache`) means none.

/// The longest text that is looked at; a longer one is the licence itself.
const MAX_TEXT: usize = 1_000;

/// Names in lower case, with the id that they mean. Sorted, so that a name is found by halving.
const NAMES: &[(&str, &str)] = &[
    ("0bsd", "0BSD"),
    ("agpl-3", "AGPL-3.0-only"),
    ("agpl-3+", "AGPL-3.0-or-later"),
    ("agpl-3.0", "AGPL-3.0-only"),
    ("agplv3", "AGPL-3.0-only"),
    ("agplv3+", "AGPL-3.0-or-later"),
    ("apache 2", "Apache-2.0"),
    ("apache 2.0", "Apache-2.0"),
    ("apache license 2.0", "Apache-2.0"),
    ("apache license, version 2.0", "Apache-2.0"),
    ("apache software license 2.0", "Apache-2.0"),
    ("apache-2", "Apache-2.0"),
    ("apache2", "Apache-2.0"),
    ("apache2.0", "Apache-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("artistic 2.0", "Artistic-2.0"),
    ("artistic-2", "Artistic-2.0"),
    ("asl 2.0", "Apache-2.0"),
    ("boost", "BSL-1.0"),
    ("boost software license 1.0", "BSL-1.0"),
    ("bsd 2-clause", "BSD-2-Clause"),
    ("bsd 3-clause", "BSD-3-Clause"),
    ("bsd-2", "BSD-2-Clause"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("bsd-2-clauses", "BSD-2-Clause"),
    ("bsd-3", "BSD-3-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd-3-clauses", "BSD-3-Clause"),
    ("bsd-4", "BSD-4-Clause"),
    ("bsd-4-clause", "BSD-4-Clause"),
    ("bsl-1", "BSL-1.0"),
    ("cc0", "CC0-1.0"),
    ("cddl 1.0", "CDDL-1.0"),
    ("eclipse public license - v 1.0", "EPL-1.0"),
    ("eclipse public license - v 2.0", "EPL-2.0"),
    ("eclipse public license 1.0", "EPL-1.0"),
    ("eclipse public license 2.0", "EPL-2.0"),
    ("eclipse public license v1.0", "EPL-1.0"),
    ("eclipse public license v2.0", "EPL-2.0"),
    ("expat", "MIT"),
    ("gfdl-1.2", "GFDL-1.2-only"),
    ("gfdl-1.2+", "GFDL-1.2-or-later"),
    ("gfdl-1.3", "GFDL-1.3-only"),
    ("gfdl-1.3+", "GFDL-1.3-or-later"),
    ("gpl v2", "GPL-2.0-only"),
    ("gpl v3", "GPL-3.0-only"),
    ("gpl-1", "GPL-1.0-only"),
    ("gpl-1+", "GPL-1.0-or-later"),
    ("gpl-1.0", "GPL-1.0-only"),
    ("gpl-1.0+", "GPL-1.0-or-later"),
    ("gpl-2", "GPL-2.0-only"),
    ("gpl-2+", "GPL-2.0-or-later"),
    ("gpl-2.0", "GPL-2.0-only"),
    ("gpl-2.0+", "GPL-2.0-or-later"),
    ("gpl-3", "GPL-3.0-only"),
    ("gpl-3+", "GPL-3.0-or-later"),
    ("gpl-3.0", "GPL-3.0-only"),
    ("gpl-3.0+", "GPL-3.0-or-later"),
    ("gplv2", "GPL-2.0-only"),
    ("gplv2+", "GPL-2.0-or-later"),
    ("gplv3", "GPL-3.0-only"),
    ("gplv3+", "GPL-3.0-or-later"),
    ("isc", "ISC"),
    ("isc license (iscl)", "ISC"),
    ("lgpl-2", "LGPL-2.0-only"),
    ("lgpl-2+", "LGPL-2.0-or-later"),
    ("lgpl-2.0", "LGPL-2.0-only"),
    ("lgpl-2.0+", "LGPL-2.0-or-later"),
    ("lgpl-2.1", "LGPL-2.1-only"),
    ("lgpl-2.1+", "LGPL-2.1-or-later"),
    ("lgpl-3", "LGPL-3.0-only"),
    ("lgpl-3+", "LGPL-3.0-or-later"),
    ("lgpl-3.0", "LGPL-3.0-only"),
    ("lgpl-3.0+", "LGPL-3.0-or-later"),
    ("lgplv2", "LGPL-2.0-only"),
    ("lgplv2+", "LGPL-2.0-or-later"),
    ("lgplv2.1", "LGPL-2.1-only"),
    ("lgplv2.1+", "LGPL-2.1-or-later"),
    ("lgplv3", "LGPL-3.0-only"),
    ("lgplv3+", "LGPL-3.0-or-later"),
    ("mit", "MIT"),
    ("mit license", "MIT"),
    ("mit/x11", "MIT"),
    ("mozilla public license 2.0 (mpl 2.0)", "MPL-2.0"),
    ("mpl 2.0", "MPL-2.0"),
    ("mplv1.1", "MPL-1.1"),
    ("mplv2.0", "MPL-2.0"),
    ("ofl", "OFL-1.1"),
    ("openldap-2.8", "OLDAP-2.8"),
    ("psf", "PSF-2.0"),
    ("psf-2", "PSF-2.0"),
    ("python software foundation license", "PSF-2.0"),
    ("sil-1.1", "OFL-1.1"),
    ("the apache license, version 2.0", "Apache-2.0"),
    ("the apache software license, version 2.0", "Apache-2.0"),
    ("the mit license", "MIT"),
    ("the mit license (mit)", "MIT"),
    ("the unlicense (unlicense)", "Unlicense"),
    ("unicode-dfs-2016", "Unicode-DFS-2016"),
    ("zlib", "Zlib"),
    ("zlib/libpng license", "Zlib"),
    ("zpl-2.1", "ZPL-2.1"),
];

/// Exceptions in lower case, as Debian names them before the word `exception`.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("bison", "Bison-exception-2.2"),
    ("bootloader", "Bootloader-exception"),
    ("classpath", "Classpath-exception-2.0"),
    ("font", "Font-exception-2.0"),
    ("libtool", "Libtool-exception"),
    ("linux-syscall-note", "Linux-syscall-note"),
    ("llvm", "LLVM-exception"),
];

/// A declared text in SPDX's words; as it is where it is not known what it means.
#[must_use]
pub fn normalised_license(text: &str) -> String {
    expression(text).unwrap_or_else(|| text.to_owned())
}

/// The text as an expression; none where nothing of it would be written otherwise, or it is none.
fn expression(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_TEXT || text.contains(['\n', '\r']) {
        return None;
    }
    if let Some(id) = name(text) {
        return Some(id.to_owned());
    }
    // Debian's comma binds less than its words: `A or B, and C`.
    let groups: Vec<&str> = text.split(", ").collect();
    let mut out = String::new();
    for (index, group) in groups.iter().enumerate() {
        let group = match index {
            0 => group,
            _ => {
                let (operator, rest) = group.split_once(' ')?;
                out.push_str(operator_of(operator)?);
                rest
            }
        };
        let written = terms(group)?;
        if groups.len() > 1 && written.contains(' ') {
            out.push_str(&format!("({written})"));
        } else {
            out.push_str(&written);
        }
    }
    (out != text).then_some(out)
}

fn operator_of(word: &str) -> Option<&'static str> {
    match word {
        "and" | "AND" | "And" => Some(" AND "),
        "or" | "OR" | "Or" => Some(" OR "),
        _ => None,
    }
}

/// Names with operators and parentheses between.
fn terms(text: &str) -> Option<String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let (mut out, mut chunk, mut depth) = (String::new(), Vec::new(), 0_usize);
    for word in spaced.split_whitespace().chain([""]) {
        let operator = operator_of(word);
        if operator.is_none() && !matches!(word, "(" | ")" | "") {
            chunk.push(word);
            continue;
        }
        let ends_with_operand = if chunk.is_empty() {
            out.ends_with(')')
        } else {
            // After a parenthesis comes an operator, not a name.
            if out.ends_with(')') {
                return None;
            }
            out.push_str(&term(&chunk)?);
            chunk.clear();
            true
        };
        match (word, operator) {
            ("(", _) if !ends_with_operand => {
                depth += 1;
                out.push('(');
            }
            (")", _) if ends_with_operand => {
                depth = depth.checked_sub(1)?;
                out.push(')');
            }
            ("", _) if ends_with_operand && depth == 0 => return Some(out),
            (_, Some(operator)) if ends_with_operand => out.push_str(operator),
            _ => return None,
        }
    }
    None
}

/// One name, with its exception: an id, or a single word as it is.
fn term(words: &[&str]) -> Option<String> {
    let at = words.iter().position(|word| word.eq_ignore_ascii_case("with"));
    let (plain, exception) = match at {
        Some(at) => (words.get(..at)?, words.get(at + 1..)?),
        None => (words, &[][..]),
    };
    let plain = match plain {
        [word] => name(word).map_or_else(|| word_as_it_is(word), |id| Some(id.to_owned()))?,
        words => name(&words.join(" "))?.to_owned(),
    };
    let exception = match exception {
        [] if at.is_none() => return Some(plain),
        // As SPDX writes it.
        [one] => (*one).to_owned(),
        [one, last] if last.eq_ignore_ascii_case("exception") => {
            let known = EXCEPTIONS.iter().find(|(known, _)| one.eq_ignore_ascii_case(known));
            known.map(|(_, id)| (*id).to_owned())?
        }
        _ => return None,
    };
    Some(format!("{plain} WITH {exception}"))
}

fn name(text: &str) -> Option<&'static str> {
    // The longest name has fewer bytes.
    if text.len() > 64 {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let at = NAMES.binary_search_by_key(&lower.as_str(), |(name, _)| name).ok()?;
    NAMES.get(at).map(|&(_, id)| id)
}

/// A word that may be an id.
fn word_as_it_is(word: &str) -> Option<String> {
    let is_id = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'+'));
    is_id.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_is_sorted_and_no_name_is_there_twice() {
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(NAMES.iter().all(|(name, _)| *name == name.to_ascii_lowercase()));
    }

    #[test]
    fn names_become_ids() {
        for (text, expected) in [
            ("Expat", "MIT"),
            ("GPL-2+", "GPL-2.0-or-later"),
            ("GPL-1+ or Artistic", "GPL-1.0-or-later OR Artistic-1.0-Perl"),
            ("GPLv2+ and (LGPLv3+ or Boost)", "GPL-2.0-or-later AND (LGPL-3.0-or-later OR BSL-1.0)"),
            ("GPL-2+ or Artistic-2, and BSD-3-clause", "(GPL-2.0-or-later OR Artistic-2.0) AND BSD-3-Clause"),
            ("GPL-2 with Linux-syscall-note exception", "GPL-2.0-only WITH Linux-syscall-note"),
            ("Apache-2 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
            ("The Apache Software License, Version 2.0", "Apache-2.0"),
            ("BSL-1.0 and Jam", "BSL-1.0 AND Jam"),
            ("ASL 2.0 and MIT License", "Apache-2.0 AND MIT"),
        ] {
            assert_eq!(normalised_license(text), expected);
        }
        for text in [
            "",
            "BSD",
            "MIT AND ISC",
            "GNU General Public License v2 or later (GPLv2+)",
            "GPL-2+ with OpenSSL exception",
            "Permission to use, copy, modify, and distribute this software and its",
            "MIT or",
            "(MIT",
            "MIT) or (ISC",
            "MIT (ISC) and Zlib",
            "or MIT",
            "a and ()",
            "GPL-2+ with",
        ] {
            assert_eq!(normalised_license(text), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_normalised_stays(text in "(GPL-2\\+|Expat|X| and | or |, |[()]| with | exception|\\PC){0,24}") {
            let once = normalised_license(&text);
            prop_assert_eq!(normalised_license(&once), once);
        }
    }
}
