//! Which addresses may be asked. A registry's answers name other hosts (redirects, token realms, upload places), and
//! a cluster's own services must not be reachable through them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

/// Why an address is not asked; the text of errors.
pub(crate) const PRIVATE: &str = "its address is private, loopback or link-local";
pub(crate) const LINK_LOCAL: &str = "its address is link-local, where clouds serve their secrets";

/// Resolves names, and leaves out the addresses that are not to be asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guarded {
    pub(crate) allow_private: bool,
}

/// A name has no address that may be asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoAddress(pub(crate) &'static str);

impl Guarded {
    /// The reason not to ask `address`, if there is one.
    pub(crate) const fn refuses(self, address: IpAddr) -> Option<&'static str> {
        let address = address.to_canonical();
        if is_link_local(address) {
            return Some(LINK_LOCAL);
        }
        if !self.allow_private && is_private(address) { Some(PRIVATE) } else { None }
    }

    /// The reason not to ask a URL whose host is an address: those never reach the resolver.
    pub(crate) fn refuses_url(self, url: &Url) -> Option<&'static str> {
        let host = url.host_str()?;
        let address: IpAddr = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        self.refuses(address)
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = *self;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let mut reason = None;
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| {
                    let refused = guard.refuses(address.ip());
                    reason = reason.or(refused);
                    refused.is_none()
                })
                .collect();
            match (allowed.is_empty(), reason) {
                (true, Some(reason)) => Err(NoAddress(reason).into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        // fe80::/10, and fd00:ec2::254, Amazon's metadata service over IPv6.
        IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80 || v6.to_bits() == AMAZON_METADATA.to_bits(),
    }
}

const AMAZON_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

const fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        // ::, ::1, fc00::/7, and the IPv4 network inside 64:ff9b::/96.
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            let translated = segments[0] == 0x64 && segments[1] == 0xff9b;
            v6.is_unspecified() || v6.is_loopback() || v6.is_multicast() || segments[0] & 0xfe00 == 0xfc00 || translated
        }
    }
}

const fn is_private_v4(v4: Ipv4Addr) -> bool {
    let octets = v4.octets();
    let carrier_grade = octets[0] == 100 && octets[1] & 0xc0 == 64;
    v4.is_private() || v4.is_loopback() || v4.is_multicast() || v4.is_broadcast() || octets[0] == 0 || carrier_grade
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_addresses_are_told_from_public_ones() {
        let strict = Guarded { allow_private: false };
        let open = Guarded { allow_private: true };
        for private in [
            "10.1.2.3",
            "127.0.0.1",
            "192.168.0.1",
            "172.16.9.9",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fd12::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
        ] {
            assert_eq!(strict.refuses(private.parse().unwrap()), Some(PRIVATE), "{private}");
            assert_eq!(open.refuses(private.parse().unwrap()), None, "{private}");
        }
        for secret in ["169.254.169.254", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254"] {
            assert_eq!(open.refuses(secret.parse().unwrap()), Some(LINK_LOCAL), "{secret}");
        }
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1"] {
            assert_eq!(strict.refuses(public.parse().unwrap()), None, "{public}");
        }
        // Every way of writing an address ends as the same one.
        for url in ["http://0x7f.1/", "http://2130706433/", "http://[::ffff:7f00:1]/", "http://127.1/"] {
            assert_eq!(strict.refuses_url(&url.parse().unwrap()), Some(PRIVATE), "{url}");
        }
    }
}
