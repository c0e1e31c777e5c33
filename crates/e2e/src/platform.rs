//! The platform as it runs in production: the real services on a real bus with the shipped users,
//! a real store and a real database.

use std::{
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, multipart};
use serde_json::Value;
use speakr_testkit::{nats::Nats, postgres::Postgres, process::free_port, s3::S3};
use uuid::Uuid;

use crate::program::{PATIENCE, clip};

/// The users of the shipped config of the bus.
const USERS: [&str; 5] = ["transcriber", "embedder", "query_svc", "cli", "operator"];

/// The name of the database.
const DATABASE: &str = "speakr";

/// One service; killed when dropped.
pub struct ServiceProcess {
    child: Child,
    log: PathBuf,
    health_port: u16,
}

impl ServiceProcess {
    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it as a crash would.
    ///
    /// # Panics
    /// When it can't be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Status and body of what it serves at `path` on its port for health.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.health_port))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = ask().ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some((status, body.to_owned()))
    }

    fn wait_until_ready(&mut self) {
        let began = Instant::now();
        while self
            .get("/health/ready")
            .is_none_or(|(status, _)| status != 200)
        {
            let ended = self.child.try_wait().expect("a child can be asked");
            let state = self.get("/health/ready");
            assert!(ended.is_none(), "{ended:?}: {}", self.log());
            assert!(began.elapsed() < PATIENCE, "{state:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Everything, running.
pub struct Platform {
    /// Where the API is.
    pub url: String,
    /// A token that allows everything.
    pub token: String,
    /// The transcriber.
    pub transcriber: ServiceProcess,
    /// The embedder.
    pub embedder: ServiceProcess,
    /// The API.
    pub query_svc: ServiceProcess,
    /// The bus.
    pub nats: Nats,
    /// The database.
    pub postgres: Postgres,
    /// The store of record.
    pub s3: S3,
    api_port: u16,
    passwords: Vec<(&'static str, String)>,
    settings: Vec<(String, String)>,
    client: reqwest::Client,
    folder: tempfile::TempDir,
}

impl Platform {
    /// Starts all of it and waits until every service says that it is ready.
    ///
    /// # Panics
    /// When a part doesn't start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with more settings for every service.
    ///
    /// # Panics
    /// When a part doesn't start.
    #[must_use]
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let settings: Vec<(String, String)> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let passwords: Vec<_> = USERS
            .iter()
            .map(|user| (*user, Uuid::new_v4().simple().to_string()))
            .collect();
        let environment = passwords
            .iter()
            .map(|(user, password)| {
                let name = format!("SPEAKR_NATS_{}_PASSWORD", user.to_uppercase());
                (name, password.clone())
            })
            .chain([("SPEAKR_NATS_SERVER_NAME".to_owned(), "e2e".to_owned())])
            .collect();
        let shipped =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nats/nats-server.conf");
        let nats = Nats::start_shipped(&shipped, environment).expect("a bus");
        let postgres = Postgres::start().expect("a database server");
        postgres.create_database(DATABASE).expect("a database");
        let s3 = S3::start().expect("a store");
        let folder = tempfile::tempdir().expect("a scratch folder");
        let api_port = free_port().expect("a port");
        let parts = Parts {
            nats: &nats,
            postgres: &postgres,
            s3: &s3,
            passwords: &passwords,
            settings: &settings,
            folder: folder.path(),
            api_port,
        };
        run(parts.command("speakr-embedder", "embedder").arg("migrate"));
        let mut transcriber = parts.service("speakr-transcriber", "transcriber");
        let mut embedder = parts.service("speakr-embedder", "embedder");
        let mut query_svc = parts.service("speakr-query-svc", "query_svc");
        for service in [&mut transcriber, &mut embedder, &mut query_svc] {
            service.wait_until_ready();
        }
        // Another test of this process may have done so already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        let mut platform = Self {
            url: format!("http://127.0.0.1:{api_port}"),
            token: String::new(),
            transcriber,
            embedder,
            query_svc,
            nats,
            postgres,
            s3,
            api_port,
            passwords,
            settings,
            client,
            folder,
        };
        platform.token = platform.new_token("read,write,transcribe");
        platform
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            nats: &self.nats,
            postgres: &self.postgres,
            s3: &self.s3,
            passwords: &self.passwords,
            settings: &self.settings,
            folder: self.folder.path(),
            api_port: self.api_port,
        }
    }

    /// What a program needs to use this platform, by the names of environment variables.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let password = self.password("cli");
        let health = |of: &ServiceProcess| format!("http://127.0.0.1:{}/health", of.health_port);
        vec![
            ("NATS_URL", self.nats.url()),
            ("NATS_USER", "cli".to_owned()),
            ("NATS_PASSWORD", password.to_owned()),
            ("NATS_INBOX_PREFIX", "_INBOX_cli".to_owned()),
            ("SPEAKR_API_URL", self.url.clone()),
            ("SPEAKR_API_TOKEN", self.token.clone()),
            ("S3_ENDPOINT", self.s3.endpoint()),
            ("S3_BUCKET", S3::BUCKET.to_owned()),
            ("DATABASE_URL", self.postgres.url(DATABASE)),
            ("SPEAKR_TRANSCRIBER_HEALTH", health(&self.transcriber)),
            ("SPEAKR_EMBEDDER_HEALTH", health(&self.embedder)),
            ("SPEAKR_QUERY_SVC_HEALTH", health(&self.query_svc)),
        ]
    }

    fn password(&self, user: &str) -> &str {
        let found = self.passwords.iter().find(|(of, _)| *of == user);
        found.map_or("", |(_, password)| password.as_str())
    }

    /// Starts services again that have died; gives their names.
    ///
    /// # Panics
    /// When a service can't be started.
    pub fn revive(&mut self) -> Vec<&'static str> {
        let parts = Parts {
            nats: &self.nats,
            postgres: &self.postgres,
            s3: &self.s3,
            passwords: &self.passwords,
            settings: &self.settings,
            folder: self.folder.path(),
            api_port: self.api_port,
        };
        let mut revived = Vec::new();
        for (service, name, user) in [
            (&mut self.transcriber, "speakr-transcriber", "transcriber"),
            (&mut self.embedder, "speakr-embedder", "embedder"),
            (&mut self.query_svc, "speakr-query-svc", "query_svc"),
        ] {
            if service.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                let port = service.health_port;
                *service = parts.service_on(name, user, port, &[]);
                revived.push(name);
            }
        }
        revived
    }

    /// Starts the embedder again, with more settings.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn restart_embedder(&mut self, settings: &[(&str, &str)]) {
        self.embedder.kill();
        let port = self.embedder.health_port;
        let parts = self.parts();
        self.embedder = parts.service_on("speakr-embedder", "embedder", port, settings);
        self.embedder.wait_until_ready();
    }

    /// Starts the transcriber again, with more settings.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn restart_transcriber(&mut self, settings: &[(&str, &str)]) {
        self.transcriber.kill();
        let port = self.transcriber.health_port;
        let parts = self.parts();
        self.transcriber = parts.service_on("speakr-transcriber", "transcriber", port, settings);
        self.transcriber.wait_until_ready();
    }

    /// A new token that allows `scopes`.
    ///
    /// # Panics
    /// When none is made.
    #[must_use]
    pub fn new_token(&self, scopes: &str) -> String {
        let mut command = self.parts().command("speakr-query-svc", "query_svc");
        command.args(["token", "create", "--name", "e2e", "--scopes", scopes]);
        run(&mut command).trim().to_owned()
    }

    /// Runs `speakr-query-svc` with `arguments`; gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn query_svc_command(&self, arguments: &[&str]) -> String {
        let mut command = self.parts().command("speakr-query-svc", "query_svc");
        run(command.args(arguments))
    }

    /// Runs `speakr-embedder` with `arguments`; gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn embedder_command(&self, arguments: &[&str]) -> String {
        let mut command = self.parts().command("speakr-embedder", "embedder");
        run(command.args(arguments))
    }

    /// What `sql` gives, as text.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn sql(&self, sql: &str) -> String {
        self.postgres
            .query(DATABASE, sql)
            .expect("the database answers")
    }

    /// A request without token.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// A request with the token that allows everything.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(&self.token)
    }

    /// Sends a bundled clip with more fields to be made into text; gives the answer.
    ///
    /// # Panics
    /// When there is no good answer.
    pub async fn transcribe(&self, clip_name: &str, fields: &[(&str, &str)]) -> Value {
        let bytes = std::fs::read(clip(clip_name)).expect("a clip can be read");
        let file = multipart::Part::bytes(bytes).file_name(clip_name.to_owned());
        let mut form = multipart::Form::new()
            .part("file", file)
            .text("model", "whisper-1");
        for (name, value) in fields {
            form = form.text((*name).to_owned(), (*value).to_owned());
        }
        let answer = self
            .request(Method::POST, "/v1/audio/transcriptions")
            .multipart(form)
            .send()
            .await
            .expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert_eq!(status, 200, "{text}\n{}", self.transcriber.log());
        serde_json::from_str(&text).expect("JSON")
    }

    /// Asks for `query`, a body of the query operation, until `done` says so of the answer.
    ///
    /// # Panics
    /// When it never does.
    pub async fn query_until(&self, query: &Value, done: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let answer = self
                .request(Method::POST, "/api/v1/query")
                .json(query)
                .send()
                .await
                .expect("an answer");
            let status = answer.status();
            let body: Value = answer.json().await.expect("JSON");
            assert_eq!(status, 200, "{body}");
            if done(&body) {
                return body;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{body}\n{}",
                self.embedder.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

struct Parts<'a> {
    nats: &'a Nats,
    postgres: &'a Postgres,
    s3: &'a S3,
    passwords: &'a [(&'static str, String)],
    settings: &'a [(String, String)],
    folder: &'a Path,
    api_port: u16,
}

impl Parts<'_> {
    /// The program `name` with the settings of the user `user`.
    fn command(&self, name: &str, user: &str) -> Command {
        let found = self.passwords.iter().find(|(of, _)| *of == user);
        let password = found.map_or("", |(_, password)| password.as_str());
        let mut command = Command::new(beside(name));
        command
            .env("NATS_URL", self.nats.url())
            .env("NATS_USER", user)
            .env("NATS_PASSWORD", password)
            .env("S3_BUCKET", S3::BUCKET)
            .env("S3_ENDPOINT", self.s3.endpoint())
            .env("S3_REGION", S3::REGION)
            .env("S3_PATH_STYLE", "1")
            .env("S3_ACCESS_KEY_ID", self.s3.access_key())
            .env("S3_SECRET_ACCESS_KEY", self.s3.secret_key())
            .env("DATABASE_URL", self.postgres.url(DATABASE))
            .env("SPEAKR_MODELS_DIR", self.folder.join("models"))
            .env("SPEAKR_SCRATCH_DIR", self.folder)
            .env("SPEAKR_API_ADDR", format!("127.0.0.1:{}", self.api_port))
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    fn service(&self, name: &str, user: &str) -> ServiceProcess {
        self.service_on(name, user, free_port().expect("a port"), &[])
    }

    fn service_on(
        &self,
        name: &str,
        user: &str,
        health_port: u16,
        settings: &[(&str, &str)],
    ) -> ServiceProcess {
        let log = self.folder.join(format!("{name}-{health_port}.log"));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log");
        let child = self
            .command(name, user)
            .env("SPEAKR_HEALTH_ADDR", format!("127.0.0.1:{health_port}"))
            .envs(settings.iter().copied())
            .stdout(output.try_clone().expect("a log"))
            .stderr(output)
            .spawn()
            .expect("the service starts");
        ServiceProcess {
            child,
            log,
            health_port,
        }
    }
}

/// A program of this workspace. It lies beside `speakr-up`, and above the tests.
fn beside(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a program is a file");
    let mut folders = this.ancestors().skip(1).map(|folder| folder.join(name));
    let beside = folders.next().expect("a file is in a folder");
    if beside.exists() {
        return beside;
    }
    folders.next().unwrap_or(beside)
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
