//! The certificate that the API server checks: from files, or issued at the start by an authority that lives as long
//! as the process.

use std::{fs, net::IpAddr, path::PathBuf};

use axum_server::tls_rustls::RustlsConfig;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use crate::{
    args::ServerArgs,
    error::SetupError,
    policies::{now, read_bounded},
};

const MAX_PEM_BYTES: u64 = 1 << 20;

/// A certificate with its chain and its key, both PEM. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

/// The files of the certificate; none where it is issued here.
pub(crate) fn files(args: &ServerArgs) -> Option<(PathBuf, PathBuf)> {
    args.tls_cert.clone().zip(args.tls_key.clone())
}

/// Reads both files.
pub(crate) fn read((certificate, key): &(PathBuf, PathBuf)) -> Result<Pair, SetupError> {
    Ok(Pair { certificate: read_bounded(certificate, MAX_PEM_BYTES)?, key: read_bounded(key, MAX_PEM_BYTES)? })
}

/// The server's TLS, and the certificate that was read or issued for it.
pub(crate) async fn config(args: &ServerArgs) -> Result<(RustlsConfig, Pair), SetupError> {
    let files = files(args);
    let pair = match &files {
        Some(files) => read(files)?,
        None => issued(args)?,
    };
    let path = files.map_or_else(|| PathBuf::from("issued at the start"), |(certificate, _)| certificate);
    let config = RustlsConfig::from_pem(pair.certificate.clone(), pair.key.clone()).await;
    Ok((config.map_err(|source| SetupError::Certificate { path, source })?, pair))
}

/// The names of a certificate that is issued here.
pub(crate) fn names(args: &ServerArgs) -> Vec<String> {
    let mut names = args.tls_name.clone();
    names.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    let address = args.listen.ip();
    if !address.is_unspecified() && address != IpAddr::from([127, 0, 0, 1]) {
        names.push(address.to_string());
    }
    names
}

/// Issues a certificate for the names and the address; the authority's key is forgotten.
fn issued(args: &ServerArgs) -> Result<Pair, SetupError> {
    // Dates without a clock of their own: from a year ago, since clocks differ, to two years ahead.
    let date = now().date();
    let year: i32 = date.get(..4).and_then(|year| year.parse().ok()).unwrap_or(2026);
    let valid = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) = (date_time_ymd(year - 1, 1, 1), date_time_ymd(year + 2, 12, 31));
    };
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "Portcullis webhook, issued at its start");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    valid(&mut authority);
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let mut server = CertificateParams::new(names(args))?;
    server.distinguished_name.push(DnType::CommonName, "portcullis-webhook");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.use_authority_key_identifier_extension = true;
    valid(&mut server);
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &issuer)?;

    if let Some(path) = &args.ca_out {
        let written = fs::write(path, authority_certificate.pem());
        written.map_err(|source| SetupError::Write { path: path.clone(), source })?;
    }
    Ok(Pair { certificate: certificate.pem().into_bytes(), key: key.serialize_pem().into_bytes() })
}
