//! A web server on loopback that does what a test says: honest answers, and every way of not giving one.
//!
//! It knows `Range`, `If-Range` and `If-None-Match`, counts what it sends, and can stand in front of another server.
//! It speaks as much of HTTP/1.1 as tests need, one request a connection.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use portcullis_model::Digest;

/// What goes wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut after so many bytes of the body.
    Cut(usize),
    /// This status, with these header lines, and no content.
    Status(u16, Vec<String>),
    /// The header promises so many bytes; what is there is sent.
    Length(usize),
    /// This body in place of the right one.
    Body(Vec<u8>),
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET` and so on.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// Lower-case names and values.
    pub headers: BTreeMap<String, String>,
    /// The status that was answered.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub sent: usize,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    requests: Vec<Request>,
    behind: Option<SocketAddr>,
}

/// A running server. Its thread ends with the test.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct Incoming {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Reply {
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl HttpServer {
    /// Starts one without files.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A client that goes away is what tests do.
                thread::spawn(move || _ = serve(stream, &shared));
            }
        });
        Self { address, state }
    }

    /// One that passes on to another server what is not made to fail.
    #[must_use]
    pub fn in_front_of(behind: SocketAddr) -> Self {
        let server = Self::start();
        server.with(|state| state.behind = Some(behind));
        server
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a path, without TLS.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Sets the content of a path, such as `/a/b.json`.
    pub fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.with(|state| state.files.insert(path.to_owned(), content.into()));
    }

    /// Removes a path.
    pub fn remove(&self, path: &str) {
        self.with(|state| state.files.remove(path));
    }

    /// The next answers to paths that hold `path` go wrong, one after another.
    pub fn fail(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        self.with(|state| state.faults.entry(path.to_owned()).or_default().extend(faults));
    }

    /// No answer goes wrong any more.
    pub fn heal(&self) {
        self.with(|state| state.faults.clear());
    }

    /// What came since this was asked last.
    pub fn requests(&self) -> Vec<Request> {
        self.with(|state| std::mem::take(&mut state.requests))
    }
}

fn serve(stream: TcpStream, shared: &Mutex<State>) -> std::io::Result<()> {
    let incoming = receive(&stream)?;
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let (fault, behind) = {
        let mut state = lock();
        let queue = state.faults.iter_mut().find(|(path, queue)| incoming.path.contains(*path) && !queue.is_empty());
        (queue.and_then(|(_, queue)| queue.pop_front()), state.behind)
    };
    let mut reply = match (&fault, behind) {
        (Some(Fault::Status(status, headers)), _) => {
            Reply { status: *status, headers: headers.clone(), body: Vec::new() }
        }
        (_, Some(behind)) => pass_on(behind, &incoming)?,
        (_, None) => answer(lock().files.get(incoming.path.as_str()), &incoming),
    };
    if let Some(Fault::Body(body)) = &fault {
        reply.body.clone_from(body);
    }
    let length = if let Some(Fault::Length(length)) = fault { length } else { reply.body.len() };
    let is_head = incoming.method == "HEAD";
    let mut head = format!("HTTP/1.1 {} -\r\nconnection: close\r\n", reply.status);
    let has_length = reply.headers.iter().any(|line| line.to_ascii_lowercase().starts_with("content-length:"));
    if reply.status != 304 && !(is_head && has_length) {
        reply.headers.retain(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    reply.headers.iter().for_each(|line| head.push_str(&format!("{line}\r\n")));
    let body = match fault {
        _ if is_head => &[],
        Some(Fault::Cut(after)) => &reply.body[..after.min(reply.body.len())],
        _ => &reply.body[..],
    };
    let Incoming { method, path, headers, body: _ } = incoming;
    lock().requests.push(Request { method, path, headers, status: reply.status, sent: body.len() });
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    stream.write_all(body)?;
    stream.shutdown(Shutdown::Write)?;
    // Closing with unread bytes would cut off what was sent.
    std::io::copy(&mut stream.take(1 << 20), &mut std::io::sink()).map(drop)
}

fn receive(stream: &TcpStream) -> std::io::Result<Incoming> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(ToOwned::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers = header_lines(&mut reader)?;
    let headers: BTreeMap<String, String> = headers
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Incoming { method, path, headers, body })
}

fn header_lines(reader: &mut impl std::io::BufRead) -> std::io::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(lines);
        }
        lines.push(line.trim_end().to_owned());
    }
}

/// As an honest server answers.
fn answer(content: Option<&Vec<u8>>, request: &Incoming) -> Reply {
    let Some(content) = content else { return Reply { status: 404, headers: Vec::new(), body: Vec::new() } };
    let etag = format!("\"{}\"", &Digest::of(content).hex()[..16]);
    let named = vec![format!("etag: {etag}")];
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    if header("if-none-match") == Some(etag.as_str()) {
        return Reply { status: 304, headers: named, body: Vec::new() };
    }
    let start =
        header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match start.filter(|_| header("if-range").is_none_or(|wanted| wanted == etag)) {
        None => Reply { status: 200, headers: named, body: content.clone() },
        Some(start) if start < content.len() => {
            let range = format!("content-range: bytes {start}-{}/{}", content.len() - 1, content.len());
            Reply { status: 206, headers: [named, vec![range]].concat(), body: content[start..].to_vec() }
        }
        Some(_) => Reply { status: 416, headers: named, body: Vec::new() },
    }
}

/// Asks the server behind, and gives its answer.
fn pass_on(behind: SocketAddr, request: &Incoming) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(behind)?;
    let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", request.method, request.path);
    let kept = request.headers.iter().filter(|(name, _)| *name != "connection");
    kept.for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    stream.write_all(&request.body)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(502);
    let headers = header_lines(&mut reader)?;
    let is = |line: &str, name: &str| line.to_ascii_lowercase().starts_with(name);
    let is_chunked = headers.iter().any(|line| is(line, "transfer-encoding:"));
    let mut body = Vec::new();
    if request.method != "HEAD" {
        reader.read_to_end(&mut body)?;
    }
    if is_chunked {
        body = unchunked(&body);
    }
    let dropped = ["connection:", "transfer-encoding:"];
    let headers = headers.into_iter().filter(|line| !dropped.iter().any(|name| is(line, name))).collect();
    Ok(Reply { status, headers, body })
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let Some(size) = size.filter(|&size| size > 0) else { break };
        body.extend_from_slice(rest.get(end + 2..end + 2 + size).unwrap_or_default());
        rest = rest.get(end + 4 + size..).unwrap_or_default();
    }
    body
}
