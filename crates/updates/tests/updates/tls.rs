//! A mirror with a certificate of its own: its authority has to be named.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use portcullis_errors::Hint as _;
use portcullis_updates::{FetchOptions, Fetcher, Sources};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::{Bucket, Desk, options, sources};

/// TLS in front of a server without; gives the address and the certificate in PEM.
fn in_front_of(behind: SocketAddr) -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            // A client that does not trust it goes away.
            thread::spawn(move || _ = pass_on(stream, config, behind));
        }
    });
    (address, made.cert.pem())
}

fn pass_on(stream: TcpStream, config: Arc<ServerConfig>, behind: SocketAddr) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut client = BufReader::new(StreamOwned::new(connection, stream));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let mut server = TcpStream::connect(behind)?;
    server.write_all(head.as_bytes())?;
    server.shutdown(std::net::Shutdown::Write)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let client = client.get_mut();
    client.write_all(&answer)?;
    client.conn.send_close_notify();
    client.flush()
}

#[tokio::test]
async fn an_authority_of_ones_own_has_to_be_named() {
    let bucket = Bucket::small(3);
    let (address, certificate) = in_front_of(bucket.server.address());
    let sources = Sources { export: format!("https://localhost:{}/", address.port()), ..sources(&bucket) };
    let desk = Desk::new();
    let strict = FetchOptions { plain_http: false, retries: 0, ..options() };
    let stranger = Fetcher::new(strict.clone()).unwrap();
    let error = desk.update.from_export(&stranger, &sources, &desk.tell()).await.unwrap_err();
    assert!(error.hint().unwrap().contains("--ca-file"), "{error:?}");
    assert!(bucket.asked().is_empty() && !desk.update.path.exists());
    let file = desk.folder.path().join("ca.pem");
    fs::write(&file, certificate).unwrap();
    let trusting = Fetcher::new(FetchOptions { ca_file: Some(file.clone()), ..strict.clone() }).unwrap();
    desk.update.from_export(&trusting, &sources, &desk.tell()).await.unwrap();
    assert_eq!(desk.database().advisory_count(), 3);
    fs::write(&file, "no certificate").unwrap();
    assert!(Fetcher::new(FetchOptions { ca_file: Some(file), ..strict }).is_err());
}
