//! The package readers: the first byte says under which path the rest lies, the second in how large pieces it comes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_filetree::{FileHeader, HEAD_BYTES};
use portcullis_packages::{Selection, readers_of};

const PATHS: [&str; 99] = [
    "var/lib/dpkg/status",
    "var/lib/dpkg/status.d/base",
    "var/lib/dpkg/info/base.list",
    "var/lib/dpkg/status.d/base.md5sums",
    "usr/share/doc/base/copyright",
    "lib/apk/db/installed",
    "etc/os-release",
    "usr/lib/python3/dist-packages/a-1.dist-info/METADATA",
    "usr/lib/python3/dist-packages/a-1.dist-info/RECORD",
    "usr/lib/python3/dist-packages/a-1.egg-info/PKG-INFO",
    "usr/lib/python3/dist-packages/a-1.egg-info",
    "app/node_modules/a/package.json",
    "usr/local/bin/program",
    "opt/app.jar",
    "app/App.deps.json",
    "app/pom.xml",
    "srv/app/META-INF/maven/g/a/pom.xml",
    "app/gradle.lockfile",
    "app/packages.lock.json",
    "app/App.csproj",
    "var/lib/pacman/local/a-1-1/desc",
    "var/lib/pacman/local/a-1-1/files",
    "usr/lib/opkg/status",
    "var/db/pkg/app-misc/jq-1.7-r1/CONTENTS",
    "opt/conda/conda-meta/a-1-0.json",
    "snap/a/1/meta/snap.yaml",
    "var/lib/flatpak/app/a/x86_64/stable/abc/metadata",
    "usr/share/bottlerocket/application-inventory.json",
    "etc/cos-package-info.json",
    "var/lib/rpmmanifest/container-manifest-2",
    "app/mix.lock",
    "app/rebar.lock",
    "app/pubspec.lock",
    "app/Package.resolved",
    "ios/Podfile.lock",
    "app/conan.lock",
    "app/conanfile.txt",
    "app/environment.yml",
    "app/conda-lock.yml",
    "app/pixi.lock",
    "app/stack.yaml",
    "usr/local/lib/php/.registry/.channel.pecl.php.net/a.reg",
    "usr/share/php/.registry/a.reg",
    "home/linuxbrew/.linuxbrew/Cellar/a/1/INSTALL_RECEIPT.json",
    "app/renv.lock",
    "app/Manifest.toml",
    "app/stack.yaml.lock",
    "app/cabal.project.freeze",
    "app/cpanfile.snapshot",
    "app/go.mod",
    "app/go.sum",
    "app/.terraform.lock.hcl",
    ".github/workflows/ci.yml",
    "app/a.cdx.json",
    "app/Cargo.lock",
    "app/package-lock.json",
    "app/package.json",
    "app/composer.json",
    "app/Cargo.toml",
    "app/Gemfile",
    "app/Pipfile",
    "app/build.gradle",
    "app/yarn.lock",
    "app/pnpm-lock.yaml",
    "app/bun.lock",
    "app/deno.lock",
    "app/poetry.lock",
    "app/pdm.lock",
    "app/uv.lock",
    "app/pylock.toml",
    "app/Pipfile.lock",
    "app/requirements.txt",
    "app/pyproject.toml",
    "app/setup.cfg",
    "app/setup.py",
    "app/build.sbt.lock",
    "app/ivy.xml",
    "app/obj/project.assets.json",
    "app/packages.config",
    "usr/lib/ruby/gems/3.1.0/specifications/a-1.gemspec",
    "app/Gemfile.lock",
    "app/vendor/composer/installed.json",
    "app/composer.lock",
    "usr/local/lib/luarocks/rocks-5.4/a/1-1/rock_manifest",
    "nix/store/abcdefghijklmnopqrstuvwxyz012345-a-1.0/bin/a",
    "var/lib/rpm/rpmdb.sqlite",
    "var/db/xbps/pkgdb-0.38.plist",
    "usr/lib/R/site-library/a/DESCRIPTION",
    "usr/local/lib/perl/5.36.0/perllocal.pod",
    "usr/local/lib/perl5/.meta/a/install.json",
    "usr/local/lib/perl/auto/A/.packlist",
    "srv/wp-content/plugins/a/a.php",
    "srv/wp-content/themes/a/style.css",
    "usr/local/bin/redis-server",
    "app/_build/prod/lib/a/ebin/a.app",
    "usr/local/lib/libpython3.11.so.1.0",
    "opt/java/release",
    "usr/local/go/VERSION",
    "usr/local/bin/composer",
];

fuzz_target!(|bytes: &[u8]| {
    let [path, size, contents @ ..] = bytes else { return };
    let path = PATHS[usize::from(*path) % PATHS.len()];
    let head = &contents[..contents.len().min(HEAD_BYTES)];
    let file = FileHeader { path, size: contents.len() as u64, mode: 0o755, head };
    for (reader, selection) in readers_of(&file) {
        match selection {
            Selection::Whole { limit } if contents.len() <= limit => _ = reader.read(&file, contents),
            Selection::Whole { .. } => {}
            Selection::Stream(mut stream) => {
                _ = contents.chunks(usize::from(*size).max(1)).all(|piece| stream.feed(piece));
                _ = stream.finish();
            }
        }
    }
});
