//! The real binary, started on free ports, and a client of its HTTP door.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use sha2::Sha256;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use verdict_oracle::{Door, Resolution, rfc3339};

/// What the webhook source `support` signs with.
pub const WEBHOOK_SECRET: &str = "whsec_dmVyZGljdCB0ZXN0IHNlY3JldCwgMzIgYnl0ZXMgIQ==";

/// How to start the service.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its database.
    pub database_url: String,
    /// Its queue, if it has one.
    pub amqp_url: Option<String>,
    /// Its Stripe, if it has one.
    pub stripe_base_url: Option<String>,
    /// Where its simulated time starts, in microseconds; `None` is real time.
    pub test_clock: Option<i64>,
    /// More of its configuration, by the environment.
    pub environment: Vec<(String, String)>,
    /// Its configuration file; by default the one source `support` with [`WEBHOOK_SECRET`].
    pub config: String,
}

impl Setup {
    /// With a database alone.
    pub fn new(database_url: &str) -> Self {
        Self {
            database_url: database_url.into(),
            amqp_url: None,
            stripe_base_url: None,
            test_clock: None,
            environment: Vec::new(),
            config: format!("[[sources]]\nname = \"support\"\nsecrets = [\"{WEBHOOK_SECRET}\"]\n"),
        }
    }
}

/// A running service; killed when dropped.
pub struct Service {
    setup: Setup,
    folder: PathBuf,
    child: Option<Child>,
    api: Api,
}

/// A client of a service's HTTP door.
#[derive(Clone)]
pub struct Api {
    port: u16,
    /// A key that may do everything.
    pub key: String,
    client: Client,
}

impl std::ops::Deref for Service {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// The `verdict` binary: beside this one, or one folder up (tests are built into `deps`).
pub fn binary() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let folder = here.parent().unwrap();
    let folder = if folder.ends_with("deps") { folder.parent().unwrap() } else { folder };
    let binary = folder.join("verdict");
    assert!(binary.exists(), "{} is not there: run `cargo build -p verdict-server` first", binary.display());
    binary
}

/// A client. All is `http://` here, but the library wants to know who would do the cryptography.
pub fn client() -> Client {
    // The second time it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The service closes what is idle for five seconds: a request on a connection that it is about to close is lost.
    Client::builder().pool_idle_timeout(Duration::from_secs(2)).build().unwrap()
}

/// A port that nothing listened on a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Service {
    /// Makes a key and starts the service; `folder` is for its configuration and its log.
    pub async fn start(setup: Setup, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("verdict.toml"), &setup.config).unwrap();
        let mut service = Self {
            setup,
            folder: folder.into(),
            child: None,
            api: Api { port: free_port(), key: String::new(), client: client() },
        };
        let scopes = "ingest,resolve,billing,report,admin";
        service.api.key =
            service.command(&["keys", "create", "--name", "test", "--scopes", scopes]).trim().into();
        service.spawn();
        service.wait_until_up().await;
        service
    }

    fn prepared(&self) -> Command {
        let mut command = Command::new(binary());
        command.arg("--config").arg(self.folder.join("verdict.toml"));
        command.env("VERDICT_DATABASE_URL", &self.setup.database_url);
        command.env("VERDICT_LISTEN", format!("127.0.0.1:{}", self.port));
        command.env("VERDICT_AMQP_URL", self.setup.amqp_url.as_deref().unwrap_or(""));
        command.env("VERDICT_STRIPE_BASE_URL", self.setup.stripe_base_url.as_deref().unwrap_or(""));
        let stripe = self.setup.stripe_base_url.as_ref().map_or("", |_| "sk_test_verdict");
        command.env("VERDICT_STRIPE_SECRET_KEY", stripe);
        command.envs(self.setup.environment.iter().cloned());
        command
    }

    /// Runs a `verdict` command on the service's database and gives what it prints.
    pub fn command(&self, arguments: &[&str]) -> String {
        let output = self.try_command(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "verdict {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, for one that may fail.
    pub fn try_command(&self, arguments: &[&str]) -> Output {
        self.prepared().args(arguments).output().unwrap()
    }

    /// The same, for one that reads from standard input.
    pub fn try_command_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.prepared();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that refuses at once does not read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn spawn(&mut self) {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut command = self.prepared();
        command.arg("serve");
        if let Some(start) = self.setup.test_clock {
            command.args(["--test-clock", &rfc3339(start)]);
        }
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Kills the service as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What `serve` says when it refuses to start with a configuration; it must, within ten seconds.
    pub fn refusal(setup: Setup, folder: &Path) -> String {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("verdict.toml"), &setup.config).unwrap();
        let api = Api { port: free_port(), key: String::new(), client: client() };
        let service = Self { setup, folder: folder.into(), child: None, api };
        let mut command = service.prepared();
        command.arg("serve").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if start.elapsed() > Duration::from_secs(10) {
                child.kill().unwrap();
                panic!("it started, with {}", service.setup.config);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Gives it another configuration file and starts it again.
    pub async fn configure(&mut self, config: &str) {
        std::fs::write(self.folder.join("verdict.toml"), config).unwrap();
        self.restart().await;
    }

    /// Starts it again, on the same port.
    pub async fn restart(&mut self) {
        self.kill();
        self.spawn();
        self.wait_until_up().await;
    }

    async fn wait_until_up(&self) {
        let start = Instant::now();
        while self.client.get(self.url("/login")).send().await.is_err() {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(60), "the service did not start:\n{}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its process.
    pub fn process_id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The client alone, to be used beside.
    pub fn api(&self) -> Api {
        self.api.clone()
    }
}

impl Api {
    /// An address of the service.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// GET with the key.
    pub async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).bearer_auth(&self.key).send().await.unwrap()
    }

    /// GET with the key; JSON that must be there.
    pub async fn get_json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "GET {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// POST of JSON with the key.
    pub async fn try_post(&self, path: &str, body: &Value) -> reqwest::Result<Response> {
        self.client.post(self.url(path)).bearer_auth(&self.key).json(body).send().await
    }

    /// POST of JSON with the key, which must succeed.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let response = self.try_post(path, body).await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "POST {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// POST of bytes of some type with the key.
    pub async fn post_bytes(&self, path: &str, content_type: &str, body: Vec<u8>) -> Response {
        let request = self.client.post(self.url(path)).bearer_auth(&self.key);
        request.header("content-type", content_type).body(body).send().await.unwrap()
    }

    /// A delivery to a source's address (with a query, if there is one).
    pub async fn deliver(
        &self,
        source: &str,
        headers: &[(String, String)],
        body: impl Into<Vec<u8>>,
    ) -> Response {
        let mut request = self.client.post(self.url(&format!("/webhooks/{source}"))).body(body.into());
        for (name, value) in headers {
            request = request.header(name, value.as_bytes());
        }
        request.send().await.unwrap()
    }

    /// A delivery of the source `support`, signed at a time of the service's clock (microseconds).
    pub async fn try_webhook(&self, id: &str, body: &str, at: i64) -> reqwest::Result<Response> {
        self.try_delivery(&Delivery::signed("support", WEBHOOK_SECRET, id, body.into(), at)).await
    }

    /// A delivery of any source.
    pub async fn try_delivery(&self, delivery: &Delivery) -> reqwest::Result<Response> {
        let mut request = self.client.post(self.url(&format!("/webhooks/{}", delivery.source)));
        for (name, value) in &delivery.headers {
            request = request.header(*name, value);
        }
        request.header("content-type", "application/json").body(delivery.body.clone()).send().await
    }

    /// Sends a resolution through its door. `false`: the service was away, and it must be sent again.
    pub async fn try_resolution(&self, resolution: &Resolution, now: i64) -> bool {
        let response = match resolution.door {
            Door::Webhook => {
                self.try_webhook(&resolution.id, &resolution.to_webhook_body().to_string(), now).await
            }
            Door::Source(name) => panic!("the secret of {name} is not known here"),
            Door::Api => self.try_post("/v1/resolutions", &resolution.to_json()).await,
        };
        match response {
            Ok(response) if response.status().is_success() => true,
            Ok(response) if response.status().is_server_error() => false,
            Ok(response) => panic!("{resolution:?}: {}", response.status()),
            Err(_) => false,
        }
    }

    /// Moves the test clock forward; what falls due is run before this returns.
    pub async fn move_clock(&self, to: i64) {
        self.post("/v1/test-clock", &json!({"now": rfc3339(to)})).await;
    }

    /// The same while the service may be away. `false`: it was, and must be asked again.
    pub async fn try_move_clock(&self, to: i64) -> bool {
        let response = self.try_post("/v1/test-clock", &json!({"now": rfc3339(to)})).await;
        response.is_ok_and(|response| response.status().is_success())
    }

    /// Waits until nothing waits at any step.
    pub async fn wait_until_idle(&self, patience: Duration) {
        let start = Instant::now();
        loop {
            let asked = Instant::now();
            let status = self.get_json("/v1/status").await;
            let waiting = [
                "deliveries_to_map",
                "cases_to_judge",
                "outcomes_to_rate",
                "figures_to_add",
                "pushes_waiting",
            ];
            if waiting.iter().all(|step| status[step] == 0) {
                return;
            }
            assert!(start.elapsed() < patience, "still not idle: {status}");
            // Counting what waits takes the longer the more it is, from the work that is waited for.
            tokio::time::sleep((asked.elapsed() * 20).max(Duration::from_millis(100))).await;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A delivery as its source sends it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Which source it is of.
    pub source: &'static str,
    /// What proves it, and its id.
    pub headers: Vec<(&'static str, String)>,
    /// What it says.
    pub body: String,
}

impl Delivery {
    /// Signed at a time (microseconds) with a secret of its source.
    pub fn signed(source: &'static str, secret: &str, id: &str, body: String, at: i64) -> Self {
        let timestamp = at / 1_000_000;
        let headers = vec![
            ("webhook-id", id.into()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", sign(secret, id, timestamp, &body)),
        ];
        Self { source, headers, body }
    }
}

/// Signs as Standard Webhooks does.
pub fn sign(secret: &str, id: &str, timestamp: i64, body: &str) -> String {
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
