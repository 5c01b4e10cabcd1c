//! The certificate that the API server checks: from files, or issued at the start by an authority that lives as long
//! as the process.

use std::{fs, net::IpAddr, path::PathBuf, time::Duration};

use axum_server::tls_rustls::RustlsConfig;

use crate::{
    args::ServerArgs,
    authority::{self, Held, Wanted},
    error::SetupError,
    policies::{now, read_bounded},
};

const MAX_PEM_BYTES: u64 = 1 << 20;
/// How long a certificate lives that is issued at the start: longer than a process does.
const ISSUED: Duration = Duration::from_secs(2 * 365 * 86_400);

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
    let wanted = Wanted { names: names(args), lifetime: ISSUED };
    let Held { authorities, authority_key: _, pair } = authority::first(&wanted, now())?;
    if let Some(path) = &args.ca_out {
        let written = fs::write(path, authorities);
        written.map_err(|source| SetupError::Write { path: path.clone(), source })?;
    }
    Ok(pair)
}
