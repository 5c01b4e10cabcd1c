//! Packages that come from somebody else than the distribution: its advisories do not speak of them, and what they do
//! say of a package of the same name is about another build.
//!
//! rpm names a vendor; a package is a third party's if that is not one of the distribution's. dpkg names a maintainer
//! alone, and Debian has thousands of them: the table lists who publishes repositories of its own. Both are what the
//! packages say of themselves, as their publishers build them.

use portcullis_model::{Package, PackageType};

use crate::distributions::Rule;

/// Part of a maintainer or vendor, in lower case, and who that is.
const PUBLISHERS: &[(&str, &str)] = &[
    ("support@docker.com", "Docker"),
    ("nginx packaging", "NGINX"),
    ("@nodesource.com", "NodeSource"),
    ("microsoft corporation", "Microsoft"),
    ("@microsoft.com", "Microsoft"),
    ("dotnetpackages@dotnetfoundation.org", "Microsoft"),
    ("chromium-dev@chromium.org", "Google"),
    ("google cloud cli", "Google"),
    ("@hashicorp.com", "HashiCorp"),
    ("@grafana.com", "Grafana Labs"),
    ("@elastic.co", "Elastic"),
    ("@mongodb.com", "MongoDB"),
    ("mysql-build@oss.oracle.com", "MySQL"),
    ("developers@lists.mariadb.org", "MariaDB"),
    ("@percona.com", "Percona"),
    ("redis@redis.io", "Redis"),
    ("@redis.com", "Redis"),
    ("dev@kubernetes.io", "Kubernetes"),
    ("kubernetes authors", "Kubernetes"),
    ("@gitlab.com", "GitLab"),
    ("yarn@dan.cx", "Yarn"),
    ("@datadoghq.com", "Datadog"),
    ("cudatools@nvidia.com", "NVIDIA"),
    ("@adoptium.net", "Adoptium"),
    ("temurin-dev@eclipse.org", "Adoptium"),
    ("azul systems", "Azul"),
    ("amazon corretto", "Amazon Corretto"),
    ("@bell-sw.com", "BellSoft"),
    ("@influxdata.com", "InfluxData"),
    ("@clickhouse.com", "ClickHouse"),
    ("@confluent.io", "Confluent"),
    ("info@varnish-software.com", "Varnish Software"),
    ("@haproxy.com", "HAProxy Technologies"),
    ("@cloudflare.com", "Cloudflare"),
    ("@tailscale.com", "Tailscale"),
    ("@saltstack.com", "Salt"),
    ("@puppet.com", "Puppet"),
    ("@rabbitmq.com", "RabbitMQ"),
    ("@launchpad.net", "a private archive (PPA)"),
];

/// Part of a version that only a publisher's own builds carry, and who that is.
const VERSIONS: &[(&str, &str)] = &[
    ("nodesource", "NodeSource"),
    (".pgdg", "PostgreSQL Global Development Group"),
    ("PGDG", "PostgreSQL Global Development Group"),
    ("+maria~", "MariaDB"),
    ("sury.org", "deb.sury.org"),
    ("~ppa", "a private archive (PPA)"),
    ("+ppa", "a private archive (PPA)"),
    (".remi", "Remi's repository"),
];

/// Who published `package`, if that was not the distribution of `rule`.
pub(crate) fn publisher(package: &Package, rule: &Rule) -> Option<String> {
    let vendor = package.vendor.as_deref().unwrap_or_default().trim();
    let lower = vendor.to_ascii_lowercase();
    let by_version =
        || VERSIONS.iter().find(|(mark, _)| package.version.contains(mark)).map(|(_, name)| (*name).to_owned());
    match package.kind {
        PackageType::Deb => {
            let known = PUBLISHERS.iter().find(|(part, _)| lower.contains(part)).map(|(_, name)| (*name).to_owned());
            known.or_else(by_version)
        }
        PackageType::Rpm if vendor.is_empty() || rule.vendors.is_empty() => by_version(),
        PackageType::Rpm => {
            // A project's own builds at openSUSE's build service are no part of openSUSE.
            let is_own = rule.vendors.iter().any(|word| lower.contains(word)) && !lower.starts_with("obs://");
            if is_own { by_version() } else { Some(short(vendor)) }
        }
        _ => None,
    }
}

/// Ends of the addresses that maintainers have at their distribution. Many have others.
const ADDRESSES: [&str; 5] = ["debian.org", "debian.net", "ubuntu.com", "canonical.com", "alpinelinux.org"];

/// Whether `package` says that the distribution of `rule` published it. Where it says nothing, somebody may have built it
/// for themselves.
pub(crate) fn is_own(package: &Package, rule: &Rule) -> bool {
    let vendor = package.vendor.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
    let says_so = match package.kind {
        PackageType::Deb | PackageType::Apk => {
            let host = vendor.trim_end_matches('>').rsplit_once('@').map_or("", |(_, host)| host);
            ADDRESSES
                .iter()
                .any(|end| host.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
        }
        PackageType::Rpm => rule.vendors.iter().any(|word| vendor.contains(word)),
        _ => false,
    };
    says_so && publisher(package, rule).is_none()
}

/// A vendor's name without its address.
fn short(vendor: &str) -> String {
    let name = vendor.split(['<', '(']).next().unwrap_or_default().trim();
    let name = if name.is_empty() { vendor } else { name };
    name.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{distributions::rule, testing::package};

    #[test]
    fn packages_say_who_published_them() {
        for (distribution, kind, vendor, version, expected) in [
            (
                "debian",
                PackageType::Deb,
                "Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>",
                "3.0.11-1",
                None,
            ),
            (
                "debian",
                PackageType::Deb,
                "Docker <support@docker.com>",
                "5:24.0.7-1~debian.12~bookworm",
                Some("Docker"),
            ),
            (
                "debian",
                PackageType::Deb,
                "Debian PostgreSQL Maintainers <x@y>",
                "15.5-1.pgdg120+1",
                Some("PostgreSQL Global Development Group"),
            ),
            ("ubuntu", PackageType::Deb, "Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>", "1.0", None),
            (
                "debian",
                PackageType::Deb,
                "Ivan Iguaran <ivan@nodesource.com>",
                "20.10.0-1nodesource1",
                Some("NodeSource"),
            ),
            ("rhel", PackageType::Rpm, "Red Hat, Inc.", "1-1.el9", None),
            ("rhel", PackageType::Rpm, "Fedora Project", "1-1.el9", Some("Fedora Project")),
            ("rhel", PackageType::Rpm, "", "1-1.el9", None),
            ("rhel", PackageType::Rpm, "", "18.0.0-1nodesource", Some("NodeSource")),
            ("rocky", PackageType::Rpm, "Rocky Enterprise Software Foundation", "1-1.el9", None),
            (
                "rocky",
                PackageType::Rpm,
                "Remi's RPM repository <https://rpms.remirepo.net/>",
                "1-1",
                Some("Remi's RPM repository"),
            ),
            ("sles", PackageType::Rpm, "SUSE LLC <https://www.suse.com/>", "1-1", None),
            (
                "opensuse-leap",
                PackageType::Rpm,
                "obs://build.opensuse.org/home:me",
                "1-1",
                Some("obs://build.opensuse.org/home:me"),
            ),
            ("azurelinux", PackageType::Rpm, "Microsoft Corporation", "1-1", None),
            ("alpine", PackageType::Apk, "Docker <support@docker.com>", "1-r1", None),
        ] {
            let mut package = package(kind, "x", version);
            package.vendor = Some(vendor.to_owned()).filter(|vendor| !vendor.is_empty());
            let found = publisher(&package, rule(distribution).unwrap());
            assert_eq!(found.as_deref(), expected, "{distribution} {vendor} {version}");
        }
    }
}
