//! An authority of the webhook's own, and the certificate that it issues: what is due, and what then is made.

use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use portcullis_model::{Digest, Timestamp};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::{certs::Pair, error::SetupError};

/// How long an authority lives, and when the next one is made beside it.
const AUTHORITY_SECONDS: i64 = 10 * 365 * 86_400;
const AUTHORITY_LEFT_SECONDS: i64 = 365 * 86_400;
/// Clocks differ: what is issued holds from a little earlier.
const EARLIER_SECONDS: i64 = 3600;
/// The most authorities that are kept.
const MAX_AUTHORITIES: usize = 3;

/// What the certificate is to be.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Host names and addresses.
    pub(crate) names: Vec<String>,
    /// How long it lives; it is renewed when a third of that is left.
    pub(crate) lifetime: Duration,
}

/// An authority and a certificate, as the Secret holds them. It holds keys, and so it does not print.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Certificates of authorities, PEM, the newest first.
    pub(crate) authorities: String,
    /// The newest one's key, PEM.
    pub(crate) authority_key: String,
    pub(crate) pair: Pair,
}

/// A new authority, and a certificate by it.
pub(crate) fn first(wanted: &Wanted, now: Timestamp) -> Result<Held, SetupError> {
    let authority = Authority::new(now)?;
    let pair = authority.issue(wanted, now)?;
    Ok(authority.holding(pair, &[]))
}

/// What is to take the place of `held`; none where nothing is due.
pub(crate) fn renewed(held: Option<&Held>, wanted: &Wanted, now: Timestamp) -> Result<Option<Held>, SetupError> {
    let authority = held.and_then(|held| Authority::of(held, now));
    let Some((authority, held)) = authority.zip(held) else {
        // Nothing, or nothing that can be used.
        return first(wanted, now).map(Some);
    };
    let before: Vec<String> = certificates(&held.authorities).iter().map(|der| pem_of(der)).collect();
    let is_leaf_due = is_due(&held.pair, &authority, wanted, now);
    if authority.left(now) < AUTHORITY_LEFT_SECONDS {
        let next = Authority::new(now)?;
        // The configurations learn of the new one while the certificate is still the old one's.
        let pair = if is_leaf_due { authority.issue(wanted, now)? } else { held.pair.clone() };
        return Ok(Some(next.holding(pair, &before)));
    }
    if !is_leaf_due {
        return Ok(None);
    }
    Ok(Some(Held { pair: authority.issue(wanted, now)?, ..held.clone() }))
}

/// A server's TLS by a pair; an error where its parts do not belong together.
pub(crate) async fn tls(pair: &Pair) -> Result<RustlsConfig, SetupError> {
    let config = RustlsConfig::from_pem(pair.certificate.clone(), pair.key.clone()).await;
    config.map_err(|source| SetupError::Certificate { path: "the Secret".into(), source })
}

struct Authority {
    certificate: String,
    ends: i64,
    names: Vec<String>,
    issuer: Issuer<'static, KeyPair>,
    key: String,
}

impl Authority {
    fn new(now: Timestamp) -> Result<Self, SetupError> {
        let key = KeyPair::generate()?;
        // The name tells one from the next.
        let digest = Digest::of(&key.subject_public_key_info());
        let name = format!("Portcullis webhook authority {}", digest.hex().get(..16).unwrap_or_default());
        let params = authority_params(&name, now);
        let certificate: Certificate = params.self_signed(&key)?;
        let text = key.serialize_pem();
        Ok(Self {
            certificate: certificate.pem(),
            ends: now.unix() + AUTHORITY_SECONDS,
            names: vec![format!("CN={name}")],
            issuer: Issuer::new(params, key),
            key: text,
        })
    }

    /// The newest of what is held, if it can still issue.
    fn of(held: &Held, now: Timestamp) -> Option<Self> {
        let all = certificates(&held.authorities);
        let first = all.first()?;
        let (_, parsed) = X509Certificate::from_der(first).ok()?;
        let key = KeyPair::from_pem(&held.authority_key).ok()?;
        if parsed.public_key().raw != key.subject_public_key_info().as_slice() || !parsed.is_ca() {
            return None;
        }
        let ends = parsed.validity().not_after.timestamp();
        let name = parsed.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
        let names = all.iter().filter_map(|der| {
            let (_, parsed) = X509Certificate::from_der(der).ok()?;
            (parsed.validity().not_after.timestamp() > now.unix()).then(|| parsed.subject().to_string())
        });
        let names = names.collect();
        let issuer = Issuer::new(authority_params(&name, now), key);
        let of = Self { certificate: pem_of(first), ends, names, issuer, key: held.authority_key.clone() };
        (ends > now.unix()).then_some(of)
    }

    const fn left(&self, now: Timestamp) -> i64 {
        self.ends - now.unix()
    }

    fn issue(&self, wanted: &Wanted, now: Timestamp) -> Result<Pair, SetupError> {
        let mut server = CertificateParams::new(wanted.names.clone())?;
        server.distinguished_name.push(DnType::CommonName, "portcullis-webhook");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.use_authority_key_identifier_extension = true;
        let lifetime = i64::try_from(wanted.lifetime.as_secs()).unwrap_or(AUTHORITY_SECONDS);
        valid(&mut server, now, lifetime.min(self.left(now)));
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &self.issuer)?;
        Ok(Pair { certificate: certificate.pem().into_bytes(), key: key.serialize_pem().into_bytes() })
    }

    fn holding(&self, pair: Pair, before: &[String]) -> Held {
        let all = std::iter::once(&self.certificate).chain(before).take(MAX_AUTHORITIES);
        Held { authorities: all.map(String::as_str).collect(), authority_key: self.key.clone(), pair }
    }
}

fn authority_params(name: &str, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    valid(&mut params, now, AUTHORITY_SECONDS);
    params
}

fn valid(params: &mut CertificateParams, now: Timestamp, seconds: i64) {
    let at = |unix: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(unix.max(0).unsigned_abs());
    params.not_before = at(now.unix() - EARLIER_SECONDS);
    params.not_after = at(now.unix().saturating_add(seconds));
}

/// Whether a certificate has to be issued anew: little of its life is left, it has other names, or nobody who is kept
/// has issued it.
fn is_due(pair: &Pair, authority: &Authority, wanted: &Wanted, now: Timestamp) -> bool {
    let text = String::from_utf8_lossy(&pair.certificate);
    let all = certificates(&text);
    let parsed = all.first().and_then(|der| X509Certificate::from_der(der).ok());
    let Some((_, parsed)) = parsed else { return true };
    let key = std::str::from_utf8(&pair.key).ok().and_then(|text| KeyPair::from_pem(text).ok());
    if key.is_none_or(|key| parsed.public_key().raw != key.subject_public_key_info().as_slice()) {
        return true;
    }
    // Of its own life: it may have been given less than is wanted, since it ends with its authority.
    let (start, end) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    let left = end - now.unix();
    let third = (end - start - EARLIER_SECONDS) / 3;
    let issuer = parsed.issuer().to_string();
    left < third || !authority.names.contains(&issuer) || !has_names(&parsed, &wanted.names)
}

fn has_names(certificate: &X509Certificate<'_>, names: &[String]) -> bool {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let there = alternative.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    names.iter().all(|name| {
        there.iter().any(|general| match (general, name.parse::<std::net::IpAddr>()) {
            (GeneralName::DNSName(known), Err(_)) => *known == name,
            (GeneralName::IPAddress(known), Ok(std::net::IpAddr::V4(address))) => **known == address.octets(),
            (GeneralName::IPAddress(known), Ok(std::net::IpAddr::V6(address))) => **known == address.octets(),
            _ => false,
        })
    })
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).take(16).collect()
}

fn pem_of(der: &[u8]) -> String {
    use std::fmt::Write as _;

    use base64::{Engine as _, engine::general_purpose::STANDARD};

    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        // Writing to a String cannot fail.
        _ = writeln!(pem, "{}", String::from_utf8_lossy(line));
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const DAY: i64 = 86_400;

    fn wanted() -> Wanted {
        Wanted {
            names: vec!["webhook.svc".to_owned(), "127.0.0.1".to_owned()],
            lifetime: Duration::from_secs(90 * 86_400),
        }
    }

    fn at(held: Option<&Held>, wanted: &Wanted, days: i64) -> Option<Held> {
        renewed(held, wanted, Timestamp::from_unix(NOW + days * DAY)).unwrap()
    }

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_life_is_left() {
        let first = at(None, &wanted(), 0).unwrap();
        assert!(at(Some(&first), &wanted(), 0).is_none());
        assert!(at(Some(&first), &wanted(), 59).is_none());
        let second = at(Some(&first), &wanted(), 61).unwrap();
        assert_eq!(second.authorities, first.authorities, "the authority stays");
        assert!(second.pair != first.pair);
        let other = Wanted { names: vec!["other.svc".to_owned()], ..wanted() };
        assert!(at(Some(&first), &other, 0).is_some(), "other names");
    }

    #[test]
    fn a_long_life_is_not_renewed_all_the_time() {
        let wanted = Wanted { lifetime: Duration::from_secs(40 * 365 * 86_400), ..wanted() };
        let first = at(None, &wanted, 0).unwrap();
        for days in [0, 1, 365] {
            assert!(at(Some(&first), &wanted, days).is_none(), "after {days} days");
        }
        assert!(at(Some(&first), &wanted, 7 * 365).is_some());
    }

    #[test]
    fn a_new_authority_stands_beside_the_one_before_until_that_ends() {
        let first = at(None, &wanted(), 0).unwrap();
        let leaf = at(Some(&first), &wanted(), 9 * 365 - 30).unwrap();
        let both = at(Some(&leaf), &wanted(), 9 * 365 + 1).unwrap();
        assert!(both.pair == leaf.pair, "the certificate is still the old authority's");
        assert_eq!(certificates(&both.authorities).len(), 2);
        assert!(both.authorities.ends_with(&first.authorities));
        assert!(at(Some(&both), &wanted(), 9 * 365 + 1).is_none());
        let next = at(Some(&both), &wanted(), 9 * 365 + 40).unwrap();
        assert!(next.pair != both.pair && next.authorities == both.authorities);
    }

    #[test]
    fn what_is_damaged_is_made_anew() {
        let good = at(None, &wanted(), 0).unwrap();
        let other = at(None, &wanted(), 0).unwrap();
        for damaged in [
            Held { authorities: String::new(), ..good.clone() },
            Held { authority_key: "x".to_owned(), ..good.clone() },
            Held { authority_key: other.authority_key.clone(), ..good.clone() },
            Held { pair: other.pair.clone(), ..good.clone() },
            Held {
                pair: Pair { certificate: good.pair.certificate.clone(), key: other.pair.key.clone() },
                ..good.clone()
            },
            Held { pair: Pair { certificate: b"-----BEGIN".to_vec(), key: Vec::new() }, ..good.clone() },
        ] {
            let mended = at(Some(&damaged), &wanted(), 0).unwrap();
            assert!(at(Some(&mended), &wanted(), 0).is_none());
        }
    }

    #[tokio::test]
    async fn what_is_issued_can_be_served() {
        _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        tls(&at(None, &wanted(), 0).unwrap().pair).await.unwrap();
    }
}
