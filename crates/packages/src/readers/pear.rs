//! PHP's extensions and packages that PECL and PEAR installed: a record of each in their registry.
//!
//! Format: what PHP's `serialize` makes (<https://www.php.net/manual/en/function.serialize.php>) of the keys of a
//! `package.xml` (<https://pear.php.net/manual/en/guide.developers.package2.php>). Packages of PEAR's own channel lie in
//! `.registry` itself, those of others in `.registry/.channel.<channel>`.

use portcullis_filetree::FileHeader;
use portcullis_model::{Package, PackageType, Purl, Reading, Warning};

use crate::{PackageReader, Selection, complete::language_package, tree::Node};

/// Reads PEAR's registries.
pub(crate) struct Pear;

/// Most bytes of a record. It names the package's files: large ones have some hundred kilobytes.
const MAX_RECORD: usize = 8 << 20;

/// How deep values may be nested. Real records go ten deep.
const MAX_DEPTH: usize = 64;

impl PackageReader for Pear {
    fn name(&self) -> &'static str {
        "pear"
    }

    fn reads(&self) -> &'static str {
        "`**/.registry/*.reg`, `**/.registry/.channel.*/*.reg`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        channel(file.path).map(|_| Selection::Whole { limit: MAX_RECORD })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some(channel) = channel(file.path) else { return Reading::default() };
        let record = parse(contents).unwrap_or(Node::Nothing);
        match package(&record, channel, file.path) {
            Some(package) => Reading { packages: vec![package], ..Reading::default() },
            None => {
                let warning = Warning::gap(file.path, "not a record of a package with a name and a version");
                Reading { warnings: vec![warning], ..Reading::default() }
            }
        }
    }
}

/// The channel whose package a file is a record of.
fn channel(path: &str) -> Option<&str> {
    let (folder, name) = path.rsplit_once('/')?;
    let (above, last) = folder.rsplit_once('/').unwrap_or(("", folder));
    if !name.ends_with(".reg") {
        return None;
    }
    if last == ".registry" {
        return Some("pear.php.net");
    }
    last.strip_prefix(".channel.").filter(|_| above.rsplit('/').next() == Some(".registry"))
}

fn package(record: &Node, channel: &str, path: &str) -> Option<Package> {
    // The first form of `package.xml` has the package's name and its version under other keys.
    let name = record.text_of("name").or_else(|| record.text_of("package"))?;
    let version = record.get("version");
    let version = version.text_of("release").or_else(|| version.text())?;
    let license = record.get("license");
    let license = license.text_of("_content").or_else(|| license.text()).or_else(|| record.text_of("release_license"));
    let channel = record.text_of("channel").unwrap_or(channel);
    let purl = Purl::new(PackageType::Pear, channel, name, version);
    let identity = (format!("{channel}/{name}"), version.to_owned());
    Some(language_package(PackageType::Pear, purl, identity, license.map(str::to_owned), path))
}

/// Reads one value of `serialize`'s form; none if the bytes are no such value.
fn parse(bytes: &[u8]) -> Option<Node> {
    let mut parser = Parser { rest: bytes };
    parser.value(0)
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> Option<Node> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.take(2)? {
            b"N;" => Some(Node::Nothing),
            b"s:" => self.text().map(Node::Text),
            b"b:" | b"i:" | b"d:" => Some(Node::Text(String::from_utf8_lossy(self.until(b';')?).into_owned())),
            b"a:" => {
                let length = self.number()?;
                self.expect(b"{")?;
                let mut entries = Vec::new();
                for _ in 0..length {
                    let key = self.value(depth + 1)?;
                    let key = key.text().unwrap_or_default().to_owned();
                    entries.push((key, self.value(depth + 1)?));
                }
                self.expect(b"}")?;
                Some(Node::Map(entries))
            }
            // Objects and references: no record has one.
            _ => None,
        }
    }

    /// `3:"abc";`
    fn text(&mut self) -> Option<String> {
        let length = self.number()?;
        self.expect(b"\"")?;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.expect(b"\";")?;
        Some(text)
    }

    /// A number, and the colon behind it.
    fn number(&mut self) -> Option<usize> {
        std::str::from_utf8(self.until(b':')?).ok()?.parse().ok()
    }

    fn until(&mut self, end: u8) -> Option<&'a [u8]> {
        let length = memchr::memchr(end, self.rest)?;
        let taken = self.take(length)?;
        self.take(1)?;
        Some(taken)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn expect(&mut self, bytes: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(bytes)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    const FOLDER: &str = "usr/local/lib/php/.registry";

    fn text(text: &str) -> String {
        format!("s:{}:\"{text}\";", text.len())
    }

    fn map(entries: &[(&str, String)]) -> String {
        let entries: Vec<String> = entries.iter().map(|(key, value)| text(key) + value).collect();
        format!("a:{}:{{{}}}", entries.len(), entries.concat())
    }

    #[test]
    fn records_of_both_forms_are_read() {
        let second = map(&[
            ("attribs", map(&[("version", text("2.0"))])),
            ("name", text("redis")),
            ("channel", text("pecl.php.net")),
            ("version", map(&[("release", text("6.0.2")), ("api", text("6.0.0"))])),
            ("license", map(&[("attribs", map(&[])), ("_content", text("PHP"))])),
            ("filelist", map(&[("0", "b:1;".to_owned()), ("1", "i:-4;".to_owned()), ("2", "N;".to_owned())])),
        ]);
        check(
            &Pear,
            &format!("{FOLDER}/.channel.pecl.php.net/redis.reg"),
            second,
            expect![[r#"
            pear pecl.php.net/redis 6.0.2, under PHP, purl pkg:pear/pecl.php.net/redis@6.0.2
        "#]],
        );
        let first = map(&[
            ("package", text("Archive_Tar")),
            ("version", text("1.4.14")),
            ("release_license", text("New BSD License")),
        ]);
        check(
            &Pear,
            &format!("{FOLDER}/archive_tar.reg"),
            first,
            expect![[r#"
            pear pear.php.net/Archive_Tar 1.4.14, under New BSD License, purl pkg:pear/pear.php.net/Archive_Tar@1.4.14
        "#]],
        );
    }

    #[test]
    fn what_is_no_record_is_a_gap_and_other_files_are_not_read() {
        let nameless = map(&[("version", text("1"))]);
        for damaged in [&nameless, "a:1:{s:4:\"name\";s:99:\"x\";}", "O:1:\"x\":0:{}", &"a:1:{i:0;".repeat(100), ""] {
            let reading = read(&Pear, &format!("{FOLDER}/a.reg"), damaged.as_bytes()).unwrap();
            assert_eq!((reading.packages.len(), reading.warnings.len()), (0, 1), "{damaged}");
        }
        for path in ["a.reg", "usr/local/lib/php/.channels/pecl.php.net.reg", "usr/.channel.x/a.reg"] {
            assert!(read(&Pear, path, b"").is_none(), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            contents: Vec<u8>,
            text in r#"(a:1:\{|s:4:"name";|s:1:"a";|i:0;|N;|\}|s:99999999999:"|a:99999999:\{|b:1;){0,20}"#,
        ) {
            let path = format!("{FOLDER}/a.reg");
            read(&Pear, &path, &contents);
            read(&Pear, &path, text.as_bytes());
        }
    }
}
