//! Sigstore's own services on loopback: certificate authority, certificate log, transparency log and timestamp authority,
//! and an issuer of identity tokens as GitHub's workflows have it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::{
    ecdsa::{Signature, SigningKey, signature::Signer as _},
    pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding},
};
use serde_json::{Value, json};

use crate::support::{cache, free_port, run, skip};

pub const WORKFLOW: &str = "https://github.com/team/app/.github/workflows/build.yml@refs/heads/main";

/// The services; stopped on drop.
pub struct Stack {
    /// The timestamp authority has its metrics at one port, which no flag moves.
    _one: MutexGuard<'static, ()>,
    children: Vec<(&'static str, Child)>,
    pub issuer: String,
    pub signing_config: PathBuf,
    pub trusted_root: PathBuf,
    pub timestamps: String,
    folder: tempfile::TempDir,
}

/// Which transparency log there is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Rekor 2: tiles, and times by a timestamp authority.
    Tiles,
    /// Rekor 1, on Trillian: what the public instance has.
    Trillian,
}

impl Stack {
    pub fn start() -> Option<Self> {
        Self::with(Log::Tiles)
    }

    pub fn with(log: Log) -> Option<Self> {
        let mut programs = vec!["fulcio", "tesseract", "timestamp-server", "cosign"];
        programs.extend_from_slice(match log {
            Log::Tiles => &["rekor-server"],
            Log::Trillian => &["rekor-server-1", "trillian-memory"],
        });
        if let Some(missing) = programs.iter().find(|name| !program(name).is_file()) {
            skip(&format!("Sigstore's services: {missing} is missing"));
            return None;
        }
        static ONE: Mutex<()> = Mutex::new(());
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let issuer = issuer();
        let [fulcio, ct, rekor, tsa] = [(); 4].map(|()| free_port());
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let mut stack = Self {
            _one: one,
            children: Vec::new(),
            issuer,
            signing_config: folder.path().join("signing-config.json"),
            trusted_root: folder.path().join("trusted-root.json"),
            timestamps: format!("{}/api/v1/timestamp", url(tsa)),
            folder,
        };
        stack.certificate_authority(fulcio, &url(ct));
        stack.certificate_log(ct);
        // Rekor 1 wants the same port for its metrics, and does without.
        stack.timestamp_authority(tsa);
        match log {
            Log::Tiles => stack.transparency_log(rekor),
            Log::Trillian => stack.transparency_log_1(rekor),
        }
        stack.describe(log, &[url(fulcio), url(ct), url(rekor)]);
        Some(stack)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn spawn(&mut self, name: &'static str, port: u16, arguments: &[String]) {
        let log = fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        let mut command = Command::new(program(name));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap();
        let started = Instant::now();
        let answers = loop {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                break true;
            }
            if child.try_wait().unwrap().is_some() || started.elapsed() > Duration::from_secs(60) {
                break false;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        self.children.push((name, child));
        let log = || fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
        assert!(answers, "{name} does not answer: {}", log());
    }

    fn certificate_authority(&mut self, port: u16, certificate_log: &str) {
        let config = json!({"OIDCIssuers": {self.issuer.as_str(): {
            "IssuerURL": self.issuer, "ClientID": "sigstore", "Type": "github-workflow",
        }}});
        fs::write(self.path("fulcio.json"), config.to_string()).unwrap();
        let [grpc, metrics] = [(); 2].map(|()| free_port());
        let arguments = words(&format!(
            "serve --host 127.0.0.1 --port {port} --grpc-host 127.0.0.1 --grpc-port {grpc} --metrics-port {metrics} \
             --ca ephemeralca --ct-log-url {certificate_log}/ct --config-path fulcio.json --legacy-unix-domain-socket {}",
            self.path("fulcio.sock").display()
        ));
        self.spawn("fulcio", port, &arguments);
        let chains: Value = serde_json::from_slice(&get(port, "/api/v2/trustBundle")).unwrap();
        let certificates = chains["chains"][0]["certificates"].as_array().unwrap();
        let chain: Vec<&str> = certificates.iter().filter_map(Value::as_str).collect();
        fs::write(self.path("fulcio.pem"), chain.join("\n")).unwrap();
    }

    fn certificate_log(&mut self, port: u16) {
        let key = new_key();
        fs::write(self.path("ct.key"), key.to_sec1_pem(LineEnding::LF).unwrap().as_bytes()).unwrap();
        fs::write(self.path("ct.pub"), key.public_key().to_public_key_pem(LineEnding::LF).unwrap()).unwrap();
        // Of several first entries at a time, all but one would find the folder made meanwhile, and fail.
        fs::create_dir_all(self.path("ct/issuer")).unwrap();
        let arguments = words(&format!(
            "--http_endpoint 127.0.0.1:{port} --origin ct.example/ct --path_prefix /ct --roots_pem_file fulcio.pem \
             --private_key ct.key --storage_dir ct --checkpoint_interval 200ms --batch_max_age 50ms"
        ));
        self.spawn("tesseract", port, &arguments);
    }

    fn log_key(&self) {
        let key = new_key();
        fs::write(self.path("rekor.key"), key.to_pkcs8_pem(LineEnding::LF).unwrap().as_bytes()).unwrap();
        fs::write(self.path("rekor.pub"), key.public_key().to_public_key_pem(LineEnding::LF).unwrap()).unwrap();
    }

    fn transparency_log_1(&mut self, port: u16) {
        self.log_key();
        let trillian = free_port();
        self.spawn("trillian-memory", trillian, &[format!("127.0.0.1:{trillian}")]);
        // Without the search index, which would want Redis.
        let arguments = words(&format!(
            "serve --port {port} --rekor_server.hostname 127.0.0.1 --rekor_server.signer rekor.key \
             --trillian_log_server.port {trillian} --enable_retrieve_api=false"
        ));
        self.spawn("rekor-server-1", port, &arguments);
    }

    fn transparency_log(&mut self, port: u16) {
        self.log_key();
        fs::create_dir(self.path("rekor")).unwrap();
        let [grpc, metrics] = [(); 2].map(|()| free_port());
        let arguments = words(&format!(
            "serve --http-port {port} --grpc-port {grpc} --http-metrics-port {metrics} --hostname 127.0.0.1 \
             --storage-dir rekor --signer-filepath rekor.key --checkpoint-interval 200ms --batch-max-age 50ms"
        ));
        self.spawn("rekor-server", port, &arguments);
    }

    fn timestamp_authority(&mut self, port: u16) {
        let arguments =
            words(&format!("serve --host 127.0.0.1 --port {port} --timestamp-signer memory --disable-ntp-monitoring"));
        self.spawn("timestamp-server", port, &arguments);
        fs::write(self.path("tsa.pem"), get(port, "/api/v1/timestamp/certchain")).unwrap();
    }

    /// Cosign writes what clients must know of the services.
    fn describe(&self, log: Log, [fulcio, ct, rekor]: &[String; 3]) {
        // Rekor 1 is known by the digest of its key.
        let (version, origin) = if log == Log::Tiles { (2, "origin=127.0.0.1,") } else { (1, "") };
        let since = "start-time=2020-01-01T00:00:00Z";
        let tsa = &self.timestamps;
        let mut root = Command::new(program("cosign"));
        root.current_dir(self.folder.path()).args(["trusted-root", "create", "--out"]).arg(&self.trusted_root).args([
            format!("--fulcio=url={fulcio},certificate-chain=fulcio.pem,{since}"),
            format!("--rekor=url={rekor},public-key=rekor.pub,{origin}{since}"),
            format!("--ctfe=url={ct}/ct,public-key=ct.pub,{since}"),
            format!("--tsa=url={tsa},certificate-chain=tsa.pem,{since}"),
        ]);
        run(&mut root, &[0]);
        let mut config = Command::new(program("cosign"));
        config.args(["signing-config", "create", "--out"]).arg(&self.signing_config).args([
            format!("--fulcio=url={fulcio},api-version=1,operator=test,{since}"),
            format!("--rekor=url={rekor},api-version={version},operator=test,{since}"),
            "--rekor-config=ANY".to_owned(),
            format!("--tsa=url={tsa},api-version=1,operator=test,{since}"),
            "--tsa-config=EXACT:1".to_owned(),
        ]);
        run(&mut config, &[0]);
    }

    /// Stops the timestamp authority.
    pub fn lose_timestamps(&mut self) {
        let (_, child) = self.children.iter_mut().find(|(name, _)| *name == "timestamp-server").unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            _ = child.kill();
            _ = child.wait();
        }
        if std::thread::panicking() {
            for (name, _) in &self.children {
                let log = fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
                let errors = log.lines().filter(|line| line.to_ascii_lowercase().contains("error"));
                let last: Vec<&str> = errors.rev().take(6).collect();
                eprintln!("{name}:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
        }
    }
}

fn new_key() -> p256::SecretKey {
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    p256::SecretKey::from_slice(&bytes).unwrap()
}

pub fn program(name: &str) -> PathBuf {
    cache().join("bin").join(name)
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn get(port: u16, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    answer.split_off(head + 4)
}

/// Issues tokens for one workflow to whoever asks with the right bearer, as GitHub's runner does. It runs until the
/// tests end.
fn issuer() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let key = SigningKey::from(&new_key());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(&stream, address, &key);
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: &TcpStream, address: SocketAddr, key: &SigningKey) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let request = lines.next().unwrap_or_default();
    let is_allowed = lines.any(|line| line.eq_ignore_ascii_case("authorization: bearer runner-secret"));
    let issuer = format!("http://{address}");
    let body = if request.contains("/.well-known/openid-configuration") {
        json!({
            "issuer": issuer, "jwks_uri": format!("{issuer}/keys"), "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
        })
    } else if request.contains("/keys") {
        let point = key.verifying_key().to_sec1_point(false);
        let coordinate = |bytes: Option<&_>| bytes.map(|bytes: &p256::FieldBytes| URL_SAFE_NO_PAD.encode(bytes));
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "kid": "1", "alg": "ES256", "use": "sig",
            "x": coordinate(point.x()), "y": coordinate(point.y()),
        }]})
    } else if is_allowed && request.contains("audience=sigstore") {
        let workflow = request.split("&workflow=").nth(1).and_then(|rest| rest.split(' ').next());
        json!({"value": token(&issuer, workflow.unwrap_or(WORKFLOW), key)})
    } else {
        json!({"message": "denied"})
    };
    let body = body.to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
    _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}

fn token(issuer: &str, workflow: &str, key: &SigningKey) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let workflow = workflow.trim_start_matches("https://github.com/");
    let claims = json!({
        "iss": issuer, "sub": "repo:team/app:ref:refs/heads/main", "aud": "sigstore", "iat": now, "exp": now + 300,
        "job_workflow_ref": workflow, "workflow_ref": workflow, "workflow": "build", "event_name": "push",
        "repository": "team/app", "repository_id": "1", "repository_owner": "team", "repository_owner_id": "2",
        "repository_visibility": "private", "ref": "refs/heads/main", "sha": "0".repeat(40),
        "job_workflow_sha": "0".repeat(40), "workflow_sha": "0".repeat(40), "run_id": "3", "run_attempt": "1",
        "runner_environment": "github-hosted",
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "ES256", "kid": "1", "typ": "JWT"})), part(&claims));
    let signature: Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// The token that a job gets from its runner.
pub fn job_token(issuer: &str) -> String {
    token_of(issuer, WORKFLOW)
}

/// The token that a job of another workflow gets.
pub fn token_of(issuer: &str, workflow: &str) -> String {
    let port = issuer.rsplit(':').next().unwrap().parse().unwrap();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let path = format!("/token?audience=sigstore&workflow={workflow}");
    write!(stream, "GET {path} HTTP/1.0\r\nAuthorization: bearer runner-secret\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    body["value"].as_str().unwrap().to_owned()
}

/// Whether any file of a folder holds a text.
pub fn holds(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, text);
        }
        fs::read(&path).is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    })
}
