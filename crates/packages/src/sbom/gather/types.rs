//! The words of other tools for what a package is.

use portcullis_model::PackageType;

/// The kind behind a type of Syft (<https://github.com/anchore/syft/blob/main/syft/pkg/type.go>) or of Trivy
/// (<https://github.com/aquasecurity/trivy/blob/main/pkg/fanal/types/const.go>).
pub(in crate::sbom) fn package_type(word: &str) -> Option<PackageType> {
    Some(match word {
        "alpine" | "wolfi" | "chainguard" => PackageType::Apk,
        "debian" | "ubuntu" => PackageType::Deb,
        "redhat"
        | "centos"
        | "rocky"
        | "alma"
        | "fedora"
        | "amazon"
        | "oracle"
        | "photon"
        | "azurelinux"
        | "cbl-mariner"
        | "opensuse.leap"
        | "opensuse.tumbleweed"
        | "suse linux enterprise server" => PackageType::Rpm,
        "python" | "python-pkg" | "pip" | "pipenv" | "poetry" | "uv" | "pylock" => PackageType::Pypi,
        "node-pkg" | "yarn" | "pnpm" | "bun" => PackageType::Npm,
        "go-module" | "gobinary" | "gomod" => PackageType::Golang,
        "java-archive"
        | "jar"
        | "pom"
        | "gradle-lockfile"
        | "gradle"
        | "sbt-lockfile"
        | "jenkins-plugin"
        | "graalvm-native-image" => PackageType::Maven,
        "bundler" | "gemspec" => PackageType::Gem,
        "rust-crate" | "rustbinary" => PackageType::Cargo,
        "php-composer" | "composer-vendor" => PackageType::Composer,
        "dotnet-core" | "packages-props" => PackageType::Nuget,
        "github-action" | "github-action-workflow" => PackageType::Github,
        "erlang-otp" | "mix-lock" => PackageType::Hex,
        "dart-pub" => PackageType::Pub,
        "pod" => PackageType::Cocoapods,
        "conan-lock" => PackageType::Conan,
        "R-package" => PackageType::Cran,
        "conda-pkg" | "conda-environment" => PackageType::Conda,
        "lua-rocks" => PackageType::Luarocks,
        "binary" => PackageType::Generic,
        other => return PackageType::of_purl(other),
    })
}

/// Whether a name and a version have the form of a Go module's: a host in front, `v` and a number.
pub(super) fn is_go_module(name: &str, version: &str) -> bool {
    let host = name.split('/').next().unwrap_or_default();
    let is_host = host.contains('.') && !host.starts_with('.') && !host.ends_with('.');
    let number = version.strip_prefix('v').and_then(|rest| rest.chars().next());
    is_host
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./-_~".contains(&byte))
        && number.is_some_and(|first| first.is_ascii_digit())
        && version.matches('.').count() >= 2
}

/// Whether a path is that of a package manager's own database.
pub(super) fn is_database(path: &str) -> bool {
    ["dpkg/status", "apk/db/", "lib/rpm/", "sysimage/rpm/", "share/rpm/"].iter().any(|part| path.contains(part))
}

/// Vendor, product and version of a CPE: <https://nvlpubs.nist.gov/nistpubs/Legacy/IR/nistir7695.pdf>.
pub(in crate::sbom) fn cpe_product(cpe: &str) -> Option<(String, String, String)> {
    let mut parts = split_cpe(cpe.strip_prefix("cpe:2.3:").or_else(|| cpe.strip_prefix("cpe:/"))?).into_iter().skip(1);
    let mut next = || parts.next().filter(|part| part != "*" && part != "-").unwrap_or_default();
    let (vendor, product, version) = (next(), next(), next());
    (!product.is_empty()).then_some((vendor, product, version))
}

/// Splits at colons that are not escaped.
fn split_cpe(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().take(2000);
    while let Some(character) = characters.next() {
        match (character, parts.last_mut()) {
            (':', _) => parts.push(String::new()),
            ('\\', Some(part)) => part.extend(characters.next()),
            (other, Some(part)) => part.push(other),
            (_, None) => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let cpe = cpe_product(r"cpe:2.3:a:postgresql:postgre\:sql:17.2.0:*:*:*:*:*:*:*");
        assert_eq!(cpe, Some(("postgresql".into(), "postgre:sql".into(), "17.2.0".into())));
        assert_eq!(cpe_product("cpe:/o:redhat:enterprise_linux:8::baseos").unwrap().1, "enterprise_linux");
        assert_eq!(cpe_product("cpe:2.3:a:*:*:*"), None);
        assert!(is_go_module("go.opencensus.io", "v0.23.0"));
        assert!(!is_go_module("socket.io", "4.0.0"));
        assert!(!is_go_module("a/b", "v1.0.0"));
    }
}
