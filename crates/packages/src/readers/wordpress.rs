//! WordPress plugins and themes: the header that each has at the top of its main file.
//!
//! Format: <https://developer.wordpress.org/plugins/plugin-basics/header-requirements/> and
//! <https://developer.wordpress.org/themes/basics/main-stylesheet-style-css/>. As WordPress does, the first 8 KiB of a file
//! are looked at. A plugin is called like its folder, or its only file: so do the directory of plugins and advisories.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading, Warning};

use crate::{
    PackageReader, Selection, StreamReader,
    complete::{language_package, language_purl},
    fields,
};

/// Reads headers.
pub(crate) struct Wordpress;

/// How much of a file WordPress looks at.
const HEADER: usize = 8 << 10;

impl PackageReader for Wordpress {
    fn name(&self) -> &'static str {
        "wordpress"
    }

    fn reads(&self) -> &'static str {
        "`**/wp-content/plugins/*/*.php`, `**/wp-content/plugins/*.php`, `**/wp-content/themes/*/style.css`"
    }

    /// The folder, and whether plugins or themes are in it.
    fn path_parts(&self) -> usize {
        3
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let (title, name) = place(file.path)?;
        let (path, name) = (file.path.to_owned(), name.to_owned());
        Some(Selection::Stream(Box::new(Header { path, name, title, held: Vec::new() })))
    }

    /// Not called: every file is taken as a stream.
    fn read(&self, _: &FileHeader<'_>, _: &[u8]) -> Reading {
        Reading::default()
    }
}

/// The field that a main file has, and what the plugin or theme is called.
fn place(path: &str) -> Option<(&'static str, &str)> {
    if !path.ends_with(".php") && !path.ends_with("/style.css") {
        return None;
    }
    let (before, rest) = path.rsplit_once("wp-content/")?;
    if !before.is_empty() && !before.ends_with('/') {
        return None;
    }
    let mut parts = rest.split('/');
    match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
        ("plugins", file, None, None) => Some(("Plugin Name", file.strip_suffix(".php")?)),
        ("plugins", folder, Some(file), None) => file.ends_with(".php").then_some(("Plugin Name", folder)),
        ("themes", folder, Some("style.css"), None) => Some(("Theme Name", folder)),
        _ => None,
    }
}

/// The top of a file.
struct Header {
    path: String,
    name: String,
    title: &'static str,
    held: Vec<u8>,
}

impl StreamReader for Header {
    fn feed(&mut self, piece: &[u8]) -> bool {
        let room = HEADER.saturating_sub(self.held.len());
        self.held.extend(piece.iter().take(room));
        self.held.len() < HEADER
    }

    fn finish(self: Box<Self>) -> Reading {
        let Self { path, name, title, held } = *self;
        let (mut is_main, mut version) = (false, None);
        for line in fields::lines(&held) {
            let line = fields::text(line);
            let Some((field, value)) = line.split_once(':') else { continue };
            // The comment's signs stand before a field, and may stand behind its value.
            let field = field.trim_start_matches(|sign: char| " \t/*#@".contains(sign)).trim_end();
            let field = field.strip_prefix("<?php").map_or(field, |rest| rest.trim_start_matches([' ', '/', '*']));
            let value = value.split("*/").next().unwrap_or(value).split("?>").next().unwrap_or(value).trim();
            if field.eq_ignore_ascii_case(title) {
                is_main |= !value.is_empty();
            } else if field.eq_ignore_ascii_case("Version") && version.is_none() {
                version = Some(value.to_owned());
            }
        }
        if !is_main {
            return Reading::default();
        }
        let version = version.unwrap_or_default();
        let what = || format!("the header of the WordPress plugin or theme `{name}` names no version");
        let warnings = version.is_empty().then(|| Warning::note(&*path, what())).into_iter().collect();
        let kind = PackageType::WordpressPlugin;
        let purl = language_purl(kind, &name, &version);
        let packages = vec![language_package(kind, purl, (name, version), None, &path)];
        Reading { packages, warnings, ..Reading::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{read, read_in_pieces, render};

    #[test]
    fn headers_are_read() {
        for (path, contents, expected) in [
            (
                "var/www/html/wp-content/plugins/akismet/akismet.php",
                "<?php\n/**\n * @package Akismet\n */\n/*\nPlugin Name: Akismet Anti-spam\nVersion: 5.3\nLicense: GPLv2\n*/\n",
                "wordpress-plugin akismet 5.3, purl pkg:wordpress-plugin/akismet@5.3\n",
            ),
            (
                "wp-content/plugins/hello.php",
                "<?php\n/**\n * Plugin Name: Hello Dolly\n * Version:     1.7.2\n */",
                "wordpress-plugin hello 1.7.2, purl pkg:wordpress-plugin/hello@1.7.2\n",
            ),
            (
                "srv/wp-content/plugins/a/a.php",
                "<?php /* Plugin Name: A */\n# Version: 2 */\n",
                "wordpress-plugin a 2, purl pkg:wordpress-plugin/a@2\n",
            ),
            (
                "srv/wp-content/themes/twentytwenty/style.css",
                "/*\nTheme Name: Twenty Twenty\nVersion: 2.5\n*/",
                "wordpress-plugin twentytwenty 2.5, purl pkg:wordpress-plugin/twentytwenty@2.5\n",
            ),
            ("srv/wp-content/plugins/a/b.php", "<?php\n// Version: 2\n", ""),
            (
                "srv/wp-content/plugins/a/b.php",
                "<?php\n// Plugin Name: B\n",
                "wordpress-plugin a , purl pkg:wordpress-plugin/a\n\
                 note in srv/wp-content/plugins/a/b.php: the header of the WordPress plugin or theme `a` names no version\n",
            ),
            (
                "wp-content/themes/t/style.css",
                "/*\nTheme Name: T\nVersion:\n*/",
                "wordpress-plugin t , purl pkg:wordpress-plugin/t\n\
                 note in wp-content/themes/t/style.css: the header of the WordPress plugin or theme `t` names no version\n",
            ),
            ("srv/wp-content/plugins/a/b.php", "<?php\n// Plugin Name:\n", ""),
        ] {
            assert_eq!(render(&read(&Wordpress, path, contents.as_bytes()).unwrap()), expected, "{path}");
        }
        for path in [
            "plugins/a/a.php",
            "wp-content/plugins/a/b/c.php",
            "wp-content/themes/a/b.php",
            "awp-content/plugins/a.php",
        ] {
            assert!(read(&Wordpress, path, b"x").is_none(), "{path}");
        }
    }

    #[test]
    fn what_lies_behind_the_top_is_no_header() {
        let contents = format!("<?php\n{}\n// Plugin Name: A\n// Version: 1\n", " ".repeat(HEADER));
        assert_eq!(render(&read(&Wordpress, "wp-content/plugins/a/a.php", contents.as_bytes()).unwrap()), "");
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(text in "((Plugin Name|Version|é|/\\*|<\\?php): ?[a-z1*/?>]{0,4}\n){0,8}", size in 1_usize..40) {
            let path = "wp-content/plugins/a/a.php";
            let whole = render(&read(&Wordpress, path, text.as_bytes()).unwrap());
            prop_assert_eq!(render(&read_in_pieces(&Wordpress, path, text.as_bytes(), size).unwrap()), whole);
        }

        #[test]
        fn nothing_panics(contents: Vec<u8>, path in "(wp-content|plugins|themes|a|style.css|a.php|/|é){0,8}") {
            read(&Wordpress, &path, &contents);
        }
    }
}
