//! Manifests that ask for packages by ranges, whose versions a lockfile has to tell: where none does, that is a gap.
//!
//! Formats: <https://docs.npmjs.com/cli/v11/configuring-npm/package-json>, <https://getcomposer.org/doc/04-schema.md>,
//! <https://doc.rust-lang.org/cargo/reference/manifest.html>, <https://bundler.io/man/gemfile.5.html>,
//! <https://pipenv.pypa.io/en/latest/pipfile.html>, <https://python-poetry.org/docs/1.8/pyproject/>,
//! <https://docs.gradle.org/current/userguide/declaring_configurations.html>.
//!
//! No package is listed here: what a manifest asks for is not what a build takes, and what the asked-for ones need is not
//! in it at all. What is for development alone does not count, as in lockfiles: a note says so.

use portcullis_filetree::FileHeader;
use portcullis_model::{Awaited, PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, fields, limits,
    lockfile::{Listing, is_of_others, is_template},
    tree::{self, Node},
};

/// Reads manifests.
pub(crate) struct Manifests;

/// One kind of manifest.
struct Manifest {
    kind: PackageType,
    count: fn(&[u8]) -> Result<Asked, String>,
    /// What writes a lockfile.
    lock: &'static str,
    /// What tells the versions: lockfiles, and folders of what is installed.
    told_by: &'static [&'static str],
    /// Whether one of a folder above does, as it does for a workspace's members.
    is_above: bool,
}

/// What a manifest asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    count: usize,
    for_development: usize,
    /// It leaves what it asks for to another file.
    is_elsewhere: bool,
    /// It begins a project of its own: what lies above is another's.
    is_root: bool,
}

const NPM: Manifest = Manifest {
    kind: PackageType::Npm,
    count: package_json,
    lock: "`npm install --package-lock-only`",
    told_by: &[
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "bun.lock",
        "bun.lockb",
        "deno.lock",
        "node_modules/",
    ],
    is_above: true,
};

const COMPOSER: Manifest = Manifest {
    kind: PackageType::Composer,
    count: composer_json,
    lock: "`composer update --no-install`",
    told_by: &["composer.lock", "vendor/composer/installed.json"],
    is_above: false,
};

const CARGO: Manifest = Manifest {
    kind: PackageType::Cargo,
    count: cargo_toml,
    lock: "`cargo generate-lockfile`",
    told_by: &["Cargo.lock"],
    is_above: true,
};

const BUNDLER: Manifest = Manifest {
    kind: PackageType::Gem,
    count: gemfile,
    lock: "`bundle lock`",
    told_by: &["Gemfile.lock", "gems.locked"],
    is_above: false,
};

const PIPENV: Manifest = Manifest {
    kind: PackageType::Pypi,
    count: pipfile,
    lock: "`pipenv lock`",
    told_by: &["Pipfile.lock"],
    is_above: false,
};

const POETRY: Manifest = Manifest {
    kind: PackageType::Pypi,
    count: pyproject,
    lock: "`poetry lock`",
    told_by: &["poetry.lock", "uv.lock", "pdm.lock", "pylock.toml"],
    is_above: false,
};

const GRADLE: Manifest = Manifest {
    kind: PackageType::Maven,
    count: build_gradle,
    lock: "`gradle dependencies --write-locks`",
    told_by: &["gradle.lockfile", "gradle/dependency-locks/"],
    is_above: false,
};

fn manifest(file: &FileHeader<'_>) -> Option<&'static Manifest> {
    Some(match file.file_name() {
        "package.json" => &NPM,
        "composer.json" => &COMPOSER,
        "Cargo.toml" => &CARGO,
        "Gemfile" | "gems.rb" => &BUNDLER,
        "Pipfile" => &PIPENV,
        "pyproject.toml" => &POETRY,
        "build.gradle" | "build.gradle.kts" => &GRADLE,
        _ => return None,
    })
}

impl PackageReader for Manifests {
    fn name(&self) -> &'static str {
        "manifests"
    }

    fn reads(&self) -> &'static str {
        "`**/package.json`, `**/composer.json`, `**/Cargo.toml`, `**/Gemfile`, `**/gems.rb`, `**/Pipfile`, \
         `**/pyproject.toml`, `**/build.gradle`, `**/build.gradle.kts`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        manifest(file).filter(|_| !is_of_others(file.path))?;
        Some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some(manifest) = manifest(file) else { return Reading::default() };
        let mut listing = Listing::new(manifest.kind, file);
        let asked = (manifest.count)(contents);
        let is_above = manifest.is_above && !asked.as_ref().is_ok_and(|asked| asked.is_root);
        let mut tell = |is_gap: bool, message: String| {
            let files = manifest.told_by.iter().map(|&name| name.to_owned()).collect();
            let message = format!("{message}, and no lockfile says which versions ({} makes one)", manifest.lock);
            listing.await_others(Awaited { files, is_above, is_gap, message });
        };
        match asked {
            Ok(Asked { count, for_development, is_elsewhere, is_root: _ }) => {
                match (count, is_elsewhere) {
                    (0, false) => {}
                    (0, true) => tell(true, "it leaves its dependencies to another file".to_owned()),
                    (count, _) => tell(true, dependencies(count)),
                }
                if for_development > 0 {
                    tell(false, format!("{} for development alone", dependencies(for_development)));
                }
            }
            // A template of such a file is none yet.
            Err(_) if fields::decode(contents).is_some_and(|text| is_template(&text)) => {}
            Err(why) => tell(true, format!("its dependencies were not read ({why})")),
        }
        listing.finish()
    }
}

fn dependencies(count: usize) -> String {
    if count == 1 { "1 dependency".to_owned() } else { format!("{count} dependencies") }
}

/// `package.json`. What is of the project's own has no version to tell.
fn package_json(contents: &[u8]) -> Result<Asked, String> {
    let document = tree::json(contents)?;
    let is_own = |range: &str| ["file:", "link:", "workspace:", "portal:"].iter().any(|kind| range.starts_with(kind));
    let count = |field: &str| {
        document.get(field).entries().iter().filter(|(_, range)| !range.text().is_some_and(is_own)).count()
    };
    Ok(Asked {
        count: count("dependencies") + count("optionalDependencies"),
        for_development: count("devDependencies"),
        ..Asked::default()
    })
}

/// `composer.json`. A name without a vendor is that of PHP itself or of an extension.
fn composer_json(contents: &[u8]) -> Result<Asked, String> {
    let document = tree::json(contents)?;
    let count = |field: &str| document.get(field).keys().filter(|name| name.contains('/')).count();
    Ok(Asked { count: count("require"), for_development: count("require-dev"), ..Asked::default() })
}

/// `Cargo.toml`. A crate that is a folder has no version to tell.
fn cargo_toml(contents: &[u8]) -> Result<Asked, String> {
    let document = tree::toml(contents)?;
    let platforms = document.get("target").entries().iter().map(|(_, platform)| platform);
    let tables: Vec<&Node> = platforms.chain([&document]).collect();
    let count = |names: &[&str]| {
        let tables = tables.iter().flat_map(|table| names.iter().map(|name| table.get(name)));
        tables.flat_map(Node::entries).filter(|(_, wanted)| wanted.get("path") == &Node::Nothing).count()
    };
    Ok(Asked {
        count: count(&["dependencies", "build-dependencies", "build_dependencies"]),
        for_development: count(&["dev-dependencies", "dev_dependencies"]),
        is_root: document.get("workspace") != &Node::Nothing,
        ..Asked::default()
    })
}

/// `Gemfile`, a program: its lines that begin as those that ask for a gem do. Its groups have names of all kinds, and all
/// count, as they do in its lockfile.
fn gemfile(contents: &[u8]) -> Result<Asked, String> {
    let text = fields::text(contents);
    let mut asked = Asked::default();
    for line in text.lines() {
        match call(line) {
            Some(("gem", rest)) => asked.count += usize::from(rest.contains(['"', '\''])),
            Some(("gemspec" | "eval_gemfile", _)) => asked.is_elsewhere = true,
            _ => {}
        }
    }
    Ok(asked)
}

/// The word that a line of a program begins with, and what follows it, if it may be a call.
fn call(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let end = line.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(end)?;
    (rest.is_empty() || rest.starts_with([' ', '\t', '('])).then_some((word, rest))
}

/// `build.gradle`, a program: its lines that begin with the name of a usual configuration, and name no project beside it.
fn build_gradle(contents: &[u8]) -> Result<Asked, String> {
    const USUAL: [&str; 6] = ["implementation", "api", "compile", "runtime", "runtimeOnly", "compileOnly"];
    const OF_TESTS: [&str; 4] = ["testImplementation", "testCompile", "testRuntime", "testRuntimeOnly"];
    let text = fields::text(contents);
    let mut asked = Asked::default();
    for (word, rest) in text.lines().filter_map(call) {
        let names_another = rest.contains(['"', '\'']) || rest.contains("libs.");
        // What is in the lines that follow is not looked at.
        let names_another = names_another || rest.trim() == "(";
        let is_assigned = rest.trim_start().starts_with('=');
        if !names_another || is_assigned || ["project(", "files(", "fileTree("].iter().any(|own| rest.contains(own)) {
            continue;
        }
        asked.count += usize::from(USUAL.contains(&word));
        asked.for_development += usize::from(OF_TESTS.contains(&word));
    }
    Ok(asked)
}

/// Poetry's table in `pyproject.toml`. Another reader says what the rest of the file pins, and that it is damaged.
fn pyproject(contents: &[u8]) -> Result<Asked, String> {
    let document = tree::toml(contents).unwrap_or(Node::Nothing);
    let wanted = document.get("tool").get("poetry").get("dependencies").entries().iter();
    let count = wanted.filter(|(name, wanted)| name != "python" && wanted.get("path") == &Node::Nothing).count();
    Ok(Asked { count, ..Asked::default() })
}

/// `Pipfile`. What is a folder has no version to tell.
fn pipfile(contents: &[u8]) -> Result<Asked, String> {
    let document = tree::toml(contents)?;
    let count = |table: &str| {
        document.get(table).entries().iter().filter(|(_, wanted)| wanted.get("path") == &Node::Nothing).count()
    };
    Ok(Asked { count: count("packages"), for_development: count("dev-packages"), ..Asked::default() })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{check, read, render};

    /// What is told of each file, in one text.
    fn told(files: &[(&str, &str)]) -> String {
        let one = |(path, contents): &(&str, &str)| {
            let reading = read(&Manifests, path, contents.as_bytes());
            reading.map_or_else(|| format!("{path} is not read\n"), |reading| format!("{path}\n{}", render(&reading)))
        };
        files.iter().map(one).collect()
    }

    #[test]
    fn javascript_counts_what_is_not_its_own() {
        check(
            &Manifests,
            "app/package.json",
            r#"{"dependencies": {"lodash": "4.17.15", "own": "workspace:*", "git": "github:a/b"},
                "optionalDependencies": {"fsevents": "^2"}, "devDependencies": {"jest": "29"}, "peerDependencies": {"a": "1"}}"#,
            expect![[r#"
                gap without package-lock.json, npm-shrinkwrap.json, yarn.lock, pnpm-lock.yaml, bun.lock, bun.lockb, deno.lock, node_modules/ here or above: 3 dependencies, and no lockfile says which versions (`npm install --package-lock-only` makes one)
                note without package-lock.json, npm-shrinkwrap.json, yarn.lock, pnpm-lock.yaml, bun.lock, bun.lockb, deno.lock, node_modules/ here or above: 1 dependency for development alone, and no lockfile says which versions (`npm install --package-lock-only` makes one)
            "#]],
        );
    }

    #[test]
    fn others_count_what_needs_a_version() {
        let told = told(&[
            (
                "composer.json",
                r#"{"require": {"php": ">=8", "ext-json": "*", "monolog/monolog": "^2"}, "require-dev": {"a/b": "1"}}"#,
            ),
            (
                "Cargo.toml",
                "[dependencies]\nserde = \"1\"\nown = { path = \"../own\" }\n[target.'cfg(unix)'.dependencies]\nlibc = { version = \"0.2\" }\n[dev-dependencies]\nproptest = \"1\"",
            ),
            (
                "Gemfile",
                "source 'https://gems.example'\n# gem 'old'\ngem 'rails', '~> 6'\ngroup :test do\n  gem(\"rspec\")\nend\ngemspec",
            ),
            ("gems.rb", "gemspec\n"),
            (
                "pyproject.toml",
                "[tool.poetry.dependencies]\npython = \"^3\"\ndjango = \"^3\"\nown = { path = \"../own\" }",
            ),
            (
                "app/build.gradle.kts",
                "dependencies {\n  implementation(\"a:b:1\")\n  api(libs.guava)\n  // api('x')\n  implementation(project(\":c\"))\n  api = \"1\"\n  testImplementation(\"j:u:4\")\n}",
            ),
            (
                "Pipfile",
                "[packages]\ndjango = \"*\"\nown = {path = \".\", editable = true}\n[dev-packages]\npytest = \"*\"",
            ),
        ]);
        expect![[r#"
            composer.json
            gap without composer.lock, vendor/composer/installed.json here: 1 dependency, and no lockfile says which versions (`composer update --no-install` makes one)
            note without composer.lock, vendor/composer/installed.json here: 1 dependency for development alone, and no lockfile says which versions (`composer update --no-install` makes one)
            Cargo.toml
            gap without Cargo.lock here or above: 2 dependencies, and no lockfile says which versions (`cargo generate-lockfile` makes one)
            note without Cargo.lock here or above: 1 dependency for development alone, and no lockfile says which versions (`cargo generate-lockfile` makes one)
            Gemfile
            gap without Gemfile.lock, gems.locked here: 2 dependencies, and no lockfile says which versions (`bundle lock` makes one)
            gems.rb
            gap without Gemfile.lock, gems.locked here: it leaves its dependencies to another file, and no lockfile says which versions (`bundle lock` makes one)
            pyproject.toml
            gap without poetry.lock, uv.lock, pdm.lock, pylock.toml here: 1 dependency, and no lockfile says which versions (`poetry lock` makes one)
            app/build.gradle.kts
            gap without gradle.lockfile, gradle/dependency-locks/ here: 2 dependencies, and no lockfile says which versions (`gradle dependencies --write-locks` makes one)
            note without gradle.lockfile, gradle/dependency-locks/ here: 1 dependency for development alone, and no lockfile says which versions (`gradle dependencies --write-locks` makes one)
            Pipfile
            gap without Pipfile.lock here: 1 dependency, and no lockfile says which versions (`pipenv lock` makes one)
            note without Pipfile.lock here: 1 dependency for development alone, and no lockfile says which versions (`pipenv lock` makes one)
        "#]].assert_eq(&told);
    }

    #[test]
    fn what_asks_for_nothing_or_is_of_others_says_nothing() {
        let told = told(&[
            ("package.json", r#"{"name": "a", "type": "module", "dependencies": {}}"#),
            ("composer.json", r#"{"require": {"php": "8"}}"#),
            ("Cargo.toml", "[workspace]\nmembers = [\"a\"]\n[workspace.dependencies]\nserde = \"1\""),
            ("Gemfile", "source 'https://gems.example'\ngems = 1\n"),
            ("package.json", "{{ template }}"),
            ("pyproject.toml", "[project]\ndependencies = [\"django\"]"),
            ("pyproject.toml", "["),
            ("build.gradle", "plugins {\n  id 'java'\n}"),
            ("app/node_modules/a/package.json", "{}"),
            ("app/vendor/a/composer.json", "{}"),
            ("registry/src/a/Cargo.toml", ""),
        ]);
        expect![[r#"
            package.json
            composer.json
            Cargo.toml
            Gemfile
            package.json
            pyproject.toml
            pyproject.toml
            build.gradle
            app/node_modules/a/package.json is not read
            app/vendor/a/composer.json is not read
            registry/src/a/Cargo.toml is not read
        "#]]
        .assert_eq(&told);
        check(
            &Manifests,
            "package.json",
            "{",
            expect![[r#"
                gap without package-lock.json, npm-shrinkwrap.json, yarn.lock, pnpm-lock.yaml, bun.lock, bun.lockb, deno.lock, node_modules/ here or above: its dependencies were not read (EOF while parsing an object at line 1 column 1), and no lockfile says which versions (`npm install --package-lock-only` makes one)
            "#]],
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(contents: Vec<u8>, name in "package[.]json|composer[.]json|Cargo[.]toml|Gemfile|Pipfile|build[.]gradle") {
            read(&Manifests, &name, &contents);
        }

        #[test]
        fn each_gem_counts(gems in 1_usize..20) {
            let text: String = (0..gems).map(|gem| format!("gem 'g{gem}'\n")).collect();
            prop_assert_eq!(gemfile(text.as_bytes()), Ok(Asked { count: gems, ..Asked::default() }));
        }
    }
}
