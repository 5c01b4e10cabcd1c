//! A small OCI registry in memory, on the loopback address: for `portcullis demo`, which runs with no network, and
//! for tests.
//!
//! It speaks the distribution specification, version 1.1, with the referrers API:
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>. It keeps no file, checks every digest,
//! and holds no more bytes than its options allow.

mod answer;
mod blobs;
mod manifests;
mod requests;
mod routes;
mod store;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread::JoinHandle,
};

use tokio::sync::oneshot;

pub use requests::Requests;

/// How a registry is to behave.
#[derive(Debug, Clone)]
pub struct Options {
    /// The most bytes that it keeps; an upload beyond is refused.
    pub max_bytes: usize,
    /// Whether it answers the referrers API and acknowledges subjects; registries before OCI 1.1 do not.
    pub referrers: bool,
    /// How many referrers one page holds; further pages follow by `Link`.
    pub referrers_page: usize,
    /// Asks for this user and password (Basic), if given.
    pub credentials: Option<(String, String)>,
    /// Where every request is listed, if given.
    pub requests: Option<Requests>,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_bytes: 512 << 20, referrers: true, referrers_page: 1000, credentials: None, requests: None }
    }
}

/// Starts registries.
#[derive(Debug)]
pub struct EmbeddedRegistry;

impl EmbeddedRegistry {
    /// Starts a registry on a free loopback port, with a thread of its own.
    ///
    /// # Errors
    /// When no port or thread is to be had.
    pub fn start(options: Options) -> io::Result<Handle> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("embedded-registry".into()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let router = routes::router(options);
                // Open connections are cut, not waited for.
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Handle { address, stop: Some(stop), thread: Some(thread) })
    }
}

/// A running registry; it stops when this is dropped.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Where it listens: `127.0.0.1:<port>`, as it stands in image names.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}
