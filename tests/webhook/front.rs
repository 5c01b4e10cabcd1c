//! What kube-proxy is to a Service: each connection goes to one of the replicas that are ready, and stays with it.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Passes connections on. Its threads end with the process.
pub struct Front {
    pub address: SocketAddr,
    replicas: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Front {
    /// Listens at an address, in front of no replica yet.
    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let (address, replicas) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::<SocketAddr>::new())));
        let (known, turn) = (Arc::clone(&replicas), AtomicUsize::new(0));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let known = known.lock().unwrap().clone();
                let turn = turn.fetch_add(1, Ordering::Relaxed);
                let Some(&replica) = known.get(turn % known.len().max(1)) else { continue };
                // One that refuses connections is what a client would see of it, too.
                if let Ok(server) = TcpStream::connect(replica) {
                    pass_on(&client, &server);
                    pass_on(&server, &client);
                }
            }
        });
        Self { address, replicas }
    }

    /// From here on these are ready. Connections that are open stay.
    pub fn lead_to(&self, replicas: &[SocketAddr]) {
        replicas.clone_into(&mut self.replicas.lock().unwrap());
    }
}

fn pass_on(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        _ = io::copy(&mut from, &mut to);
        _ = to.shutdown(Shutdown::Write);
    });
}
