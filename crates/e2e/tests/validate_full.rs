//! `speakr-validate` with everything that an operator can give it: logs, traces, services that are stopped
//! and started, a load, a release, backups that are restored beside, alerts that reach a webhook.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    dead_code,
    reason = "test code"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

#[path = "common/store.rs"]
mod store;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as Attribute,
};
use prost::Message;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use speakr_e2e::{
    platform::{DATABASE, Platform, Role},
    program::PATIENCE,
};
use speakr_testkit::s3::S3;

/// Says "please" to the test with a file, and waits for its answer: what a command of an operator does.
const ASK: &str = "ask() { : >\"$1.want\"; until [ -e \"$1.done\" ]; do sleep 0.1; done; \
                   rm \"$1.done\"; }; cd \"$FOLDER\"; ask";

/// The operator's commands, which this test carries out.
struct Operator {
    folder: tempfile::TempDir,
}

impl Operator {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A shell's command that asks for `what`.
    fn command(&self, what: &str) -> String {
        format!("FOLDER='{}'; {ASK} {what}", self.folder.path().display())
    }

    /// What is asked for now.
    fn asked(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path()).unwrap().flatten();
        let names = files.map(|file| file.file_name().into_string().unwrap());
        names
            .filter_map(|name| name.strip_suffix(".want").map(str::to_owned))
            .collect()
    }

    fn done(&self, what: &str) {
        fs::remove_file(self.folder.path().join(format!("{what}.want"))).unwrap();
        fs::write(self.folder.path().join(format!("{what}.done")), "").unwrap();
    }

    /// Runs `command` to its end, and does what it asks for meanwhile.
    fn run(&self, command: &mut Command, mut carry_out: impl FnMut(&str)) -> Seen {
        let said = self.folder.path().join("said");
        let report = self.folder.path().join("report.json");
        let mut child = command
            .stdout(fs::File::create(&report).unwrap())
            .stderr(fs::File::create(&said).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let status = loop {
            for what in self.asked() {
                carry_out(&what);
                self.done(&what);
            }
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let text = fs::read_to_string(&report).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap_or_default();
        let mut outcomes = BTreeMap::new();
        let mut details = BTreeMap::new();
        for check in report["checks"].as_array().into_iter().flatten() {
            let part = |key: &str| check[key].as_str().unwrap().to_owned();
            let name = part("group") + "." + &part("name");
            outcomes.insert(name.clone(), part("outcome"));
            details.insert(name, part("detail"));
        }
        Seen {
            code: status.code(),
            outcomes,
            details,
            said: fs::read_to_string(&said).unwrap(),
        }
    }
}

#[derive(Debug)]
struct Seen {
    code: Option<i32>,
    outcomes: BTreeMap<String, String>,
    details: BTreeMap<String, String>,
    said: String,
}

impl Seen {
    fn that(&self, outcome: &str) -> Vec<&str> {
        let found = self.outcomes.iter().filter(|(_, of)| *of == outcome);
        found.map(|(name, _)| name.as_str()).collect()
    }

    /// All passed but these, which couldn't be looked at.
    #[track_caller]
    fn passes_but(&self, not_checked: &[&str]) {
        assert!(
            self.that("failed").is_empty(),
            "{}\n{:#?}",
            self.said,
            self.details
        );
        assert_eq!(self.that("not_checked"), not_checked, "{}", self.said);
        assert_eq!(self.code, Some(0), "{}", self.said);
        assert!(!self.that("passed").is_empty());
    }
}

fn program(platform: &Platform, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_speakr-validate"));
    command
        .args(["--report", "json"])
        .args(arguments)
        .envs(platform.environment());
    command
}

fn role(service: &str) -> Role {
    match service {
        "transcriber" => Role::Transcriber,
        "embedder" => Role::Embedder,
        "query_svc" => Role::QuerySvc,
        other => panic!("no service {other}"),
    }
}

/// Stops and starts services as it is asked to.
fn stop_and_start(platform: &mut Platform, what: &str) {
    if let Some(service) = what.strip_prefix("stop-") {
        platform.service_mut(role(service)).kill();
    } else if what.starts_with("start-") {
        platform.revive();
    } else {
        panic!("nobody knows how to \"{what}\"");
    }
}

/// A collector of traces that writes a line a batch: trace ids and the service, as JSON.
fn collect(file: PathBuf) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let take = async move |body: axum::body::Bytes| {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let mut out = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file)
            .unwrap();
        for of_service in request.resource_spans {
            let attributes = of_service.resource.unwrap().attributes;
            let name = attributes
                .into_iter()
                .find(|a| a.key == "service.name")
                .unwrap();
            let Some(Attribute::StringValue(service)) = name.value.unwrap().value else {
                panic!("a service without a name");
            };
            for span in of_service.scope_spans.into_iter().flat_map(|s| s.spans) {
                let id: String = span
                    .trace_id
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                let line = json!({"traceId": id, "service": service, "name": span.name});
                writeln!(out, "{line}").unwrap();
            }
        }
    };
    let router = axum::Router::new().route("/v1/traces", axum::routing::post(take));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await
        })
    });
    address
}

#[test]
fn a_request_is_found_in_logs_and_traces_and_a_stopped_service_is_away_and_comes_back() {
    let operator = Operator::new();
    let traces = operator.folder.path().join("traces.json");
    let address = collect(traces.clone());
    let mut platform = Platform::start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &address),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ]);
    let logs = platform
        .transcriber
        .log_file()
        .parent()
        .unwrap()
        .display()
        .to_string();
    let traces = traces.display().to_string();
    let (stop, start) = (
        operator.command("stop-{service}"),
        operator.command("start-{service}"),
    );
    let common = [
        "--group",
        "observability,health",
        "--level",
        "full",
        "--allow-disruption",
    ];
    let arguments = [
        &common[..],
        &[
            "--logs", &logs, "--traces", &traces, "--stop", &stop, "--start", &start,
        ],
    ]
    .concat();
    let seen = operator.run(&mut program(&platform, &arguments), |what| {
        stop_and_start(&mut platform, what);
    });
    // The services were stopped and came back; there is no Prometheus whose alert could go off.
    seen.passes_but(&[
        "health.embedder-stopped",
        "health.query_svc-stopped",
        "health.transcriber-stopped",
    ]);
    for service in ["embedder", "query_svc", "transcriber"] {
        let detail = &seen.details[&format!("health.{service}-stopped")];
        assert!(detail.contains("ready"), "{detail}");
        assert!(detail.contains("no Prometheus"), "{detail}");
    }

    // A service that isn't started again is told of, and so is a log of somebody else.
    let lying = operator.command("nothing");
    let empty = operator.folder.path().join("empty.log");
    fs::write(&empty, "{\"service\": \"speakr-embedder\"}\n").unwrap();
    let empty = empty.display().to_string();
    let arguments = [
        &common[..],
        &[
            "--logs",
            &empty,
            "--traces",
            &empty,
            "--stop",
            &stop,
            "--start",
            &lying,
            "--patience",
            "10",
        ],
    ]
    .concat();
    let seen = operator.run(&mut program(&platform, &arguments), |what| {
        if what != "nothing" {
            stop_and_start(&mut platform, what);
        }
    });
    let red = seen.that("failed");
    for wanted in [
        "health.transcriber-stopped",
        "observability.form",
        "observability.log-of-bus",
        "observability.log-of-http",
        "observability.trace",
    ] {
        assert!(red.contains(&wanted), "{wanted}: {}", seen.said);
    }
    assert_eq!(seen.code, Some(1));
}

/// A load that two busy cores carry.
const LOAD: &str = "[local]\nseconds = 5\nsearches_per_second = 2.0\nspeakers = 1\n\
    files_per_minute = 12.0\nrecordings = 1\n[local.limits]\nerrors_percent = 0.0\n";

#[test]
fn the_expected_load_is_made_and_measured_beside_its_limits() {
    let operator = Operator::new();
    let platform = Platform::start();
    let file = operator.folder.path().join("load.toml");
    let path = file.display().to_string();
    let run = |limits: &str| {
        fs::write(&file, format!("{LOAD}{limits}")).unwrap();
        let arguments = ["--group", "load", "--load", &path];
        operator.run(&mut program(&platform, &arguments), |what| panic!("{what}"))
    };
    let wide = "search_p95_ms = 60000\ntext_after_stop_p95_ms = 60000\nfile_factor_p95 = 10.0\n";
    let seen = run(wide);
    seen.passes_but(&["load.memory"]);
    let of: usize = seen.details["load.search"]
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((8..=12).contains(&of), "{:#?}", seen.details);
    let narrow = "search_p95_ms = 0.1\ntext_after_stop_p95_ms = 0.1\nfile_factor_p95 = 0.0001\n";
    let seen = run(narrow);
    assert_eq!(
        seen.that("failed"),
        ["load.files", "load.search", "load.speech"],
        "{}",
        seen.said
    );
    assert_eq!(
        seen.that("passed"),
        ["load.errors", "system.clean"],
        "{}",
        seen.said
    );
}

/// A release of the program that was built here; the archives of other systems hold nothing.
fn release(folder: &Path, version: &str) {
    let built = Path::new(env!("CARGO_BIN_EXE_speakr-validate")).with_file_name("speakr");
    let system = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux-musl"
    };
    let ours = format!("speakr-{version}-{}-{system}", std::env::consts::ARCH);
    let inside = folder.join(&ours);
    fs::create_dir(&inside).unwrap();
    fs::copy(built, inside.join("speakr")).unwrap();
    let packed = Command::new("tar")
        .arg("-czf")
        .arg(folder.join(format!("{ours}.tar.gz")))
        .arg("-C")
        .arg(folder)
        .arg(&ours)
        .status()
        .unwrap();
    assert!(packed.success());
    fs::remove_dir_all(inside).unwrap();
    for target in [
        "x86_64-linux-musl.tar.gz",
        "aarch64-linux-musl.tar.gz",
        "x86_64-windows.zip",
        "x86_64-darwin.tar.gz",
        "aarch64-darwin.tar.gz",
    ] {
        let path = folder.join(format!("speakr-{version}-{target}"));
        if !path.exists() {
            fs::write(path, target).unwrap();
        }
    }
    let mut sums = String::new();
    for file in fs::read_dir(folder).unwrap().flatten() {
        let sum = Sha256::digest(fs::read(file.path()).unwrap());
        let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        sums += &format!("{sum}  {}\n", file.file_name().to_str().unwrap());
    }
    fs::write(folder.join("SHA256SUMS"), sums).unwrap();
}

#[test]
fn a_released_program_drives_the_platform_and_one_that_was_changed_is_not_run() {
    let operator = Operator::new();
    let platform = Platform::start();
    let folder = tempfile::tempdir().unwrap();
    release(folder.path(), env!("CARGO_PKG_VERSION"));
    let path = folder.path().display().to_string();
    let run = || {
        let arguments = ["--group", "cli", "--release", &path];
        operator.run(&mut program(&platform, &arguments), |what| panic!("{what}"))
    };
    run().passes_but(&[]);

    let system = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux-musl"
    };
    let archive = format!(
        "speakr-{}-{}-{system}.tar.gz",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    );
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(folder.path().join(archive))
        .unwrap();
    file.write_all(b"more").unwrap();
    let seen = run();
    assert_eq!(
        seen.that("failed"),
        ["cli.checksums", "cli.drive", "cli.version"],
        "{}",
        seen.said
    );
    assert!(
        seen.details["cli.drive"].contains("isn't run"),
        "{:#?}",
        seen.details
    );

    // What says another version than its name.
    let folder = tempfile::tempdir().unwrap();
    release(folder.path(), "99.0.0");
    let path = folder.path().display().to_string();
    let arguments = ["--group", "cli", "--release", &path];
    let seen = operator.run(&mut program(&platform, &arguments), |what| panic!("{what}"));
    assert_eq!(seen.that("failed"), ["cli.version"], "{}", seen.said);
}

/// Copies all objects, as `aws s3 sync` does.
async fn copy_bucket(from: &S3, to: &S3) {
    let (from, to) = (store::client(from), store::client(to));
    let listed = from
        .list_objects_v2()
        .bucket(S3::BUCKET)
        .send()
        .await
        .unwrap();
    for key in listed.contents().iter().filter_map(|object| object.key()) {
        let object = from
            .get_object()
            .bucket(S3::BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        let metadata = object.metadata().cloned();
        let body = object.body.collect().await.unwrap().into_bytes();
        let put = to
            .put_object()
            .bucket(S3::BUCKET)
            .key(key)
            .set_metadata(metadata);
        put.body(body.into()).send().await.unwrap();
    }
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// Carries out what docs/runbook.md says of backups, from one platform into another.
struct Drill {
    from: Platform,
    to: Platform,
    spare: S3,
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    /// Whether backups are taken at all; else what was taken before is all there is.
    backs_up: bool,
}

impl Drill {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn carry_out(&mut self, what: &str) {
        let (dump, streams) = (self.path("speakr.dump"), self.path("streams"));
        let streams = ["streams", "restore", streams.as_str()];
        match what {
            "backup-database" if self.backs_up => {
                let mut dump_it = self.from.postgres.client("pg_dump");
                let to = ["--format=custom", "--dbname", DATABASE, "--file", &dump];
                succeed(dump_it.args(to));
            }
            "backup-streams" if self.backs_up => {
                let backup = ["streams", "backup", streams[2]];
                self.from
                    .run_as("operator", Role::Transcriber, &backup)
                    .unwrap();
            }
            "backup-bucket" if self.backs_up => {
                self.runtime
                    .block_on(copy_bucket(&self.from.s3, &self.spare));
            }
            "prepare" => {
                for role in Role::ALL {
                    self.to.service_mut(role).kill();
                }
            }
            "restore-database" => {
                let mut restore = self.to.postgres.client("pg_restore");
                let from = [
                    "--clean",
                    "--if-exists",
                    "--exit-on-error",
                    "--dbname",
                    DATABASE,
                    &dump,
                ];
                succeed(restore.args(from));
            }
            "restore-streams" => {
                self.to
                    .run_as("operator", Role::Transcriber, &streams)
                    .unwrap();
            }
            "restore-bucket" => self.runtime.block_on(copy_bucket(&self.spare, &self.to.s3)),
            "start" => {
                self.to.revive();
                for role in Role::ALL {
                    self.to
                        .service_mut(role)
                        .wait_until_ready(PATIENCE)
                        .unwrap();
                }
            }
            "remove" => {
                for role in Role::ALL {
                    self.to.service_mut(role).kill();
                }
            }
            other if other.starts_with("backup-") => {}
            other => panic!("nobody knows how to \"{other}\""),
        }
    }
}

#[test]
fn backups_restored_beside_answer_the_same_and_empty_ones_are_told_of() {
    let operator = Operator::new();
    let mut drill = Drill {
        from: Platform::start(),
        to: Platform::start(),
        spare: S3::start().unwrap(),
        folder: tempfile::tempdir().unwrap(),
        runtime: tokio::runtime::Runtime::new().unwrap(),
        backs_up: true,
    };
    let plan = |time: u64| {
        let mut plan = format!("[beside]\nurl = \"{}\"\n", drill.to.url());
        for key in ["prepare", "start", "remove"] {
            plan += &format!("{key} = {:?}\n", operator.command(key));
        }
        for name in ["database", "streams", "bucket"] {
            let (backup, restore) = (format!("backup-{name}"), format!("restore-{name}"));
            plan += &format!(
                "[[store]]\nname = \"{name}\"\nbackup = {:?}\nrestore = {:?}\n\
                 point_seconds = 600\ntime_seconds = {time}\n",
                operator.command(&backup),
                operator.command(&restore)
            );
        }
        plan
    };
    let (plan, no_time) = (plan(600), plan(0));
    let file = operator.folder.path().join("recovery.toml");
    let path = file.display().to_string();
    let arguments = [
        "--group",
        "recovery",
        "--level",
        "full",
        "--allow-disruption",
        "--recovery",
        &path,
    ];
    fs::write(&file, &plan).unwrap();
    let mut command = program(&drill.from, &arguments);
    let seen = operator.run(&mut command, |what| drill.carry_out(what));
    seen.passes_but(&[]);
    for store in ["database", "streams", "bucket"] {
        let detail = &seen.details[&format!("recovery.{store}")];
        assert!(detail.contains("before the loss"), "{detail}");
    }
    // It was deleted where it was made.
    let list = drill.runtime.block_on(async {
        let list = drill.from.request(Method::GET, "/api/v1/recordings");
        list.send().await.unwrap().json::<Value>().await.unwrap()
    });
    assert_eq!(list["count"], 0);

    // The same backup again, although nobody took a new one: what is asked for isn't in it. And no
    // restore takes no time.
    drill.backs_up = false;
    drill.to = Platform::start();
    let no_time = no_time.replace("[beside]\nurl", "[beside]\n#");
    let no_time = no_time.replacen(
        "[beside]\n",
        &format!("[beside]\nurl = \"{}\"\n", drill.to.url()),
        1,
    );
    fs::write(&file, no_time).unwrap();
    let arguments = [&arguments[..], &["--patience", "30"]].concat();
    let mut command = program(&drill.from, &arguments);
    let seen = operator.run(&mut command, |what| drill.carry_out(what));
    assert!(
        seen.that("failed").contains(&"recovery.same-answers"),
        "{}",
        seen.said
    );
    assert!(
        !seen
            .that("passed")
            .iter()
            .any(|name| name.starts_with("recovery.")),
        "{}",
        seen.said
    );
}

/// A server that ends with this.
struct Server(std::process::Child);

impl Server {
    fn start(program: &str, arguments: &[&str], log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Prometheus with the shipped rules, which wait seconds instead of minutes, and Alertmanager, which
/// tells a webhook.
fn monitoring(platform: &Platform, folder: &Path, webhook: u16) -> (Server, Server, String) {
    let port = || speakr_testkit::process::free_port().unwrap();
    let (prometheus, alertmanager, cluster) = (port(), port(), port());
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/monitoring/alerts.yaml");
    let rules = fs::read_to_string(rules)
        .unwrap()
        .replace("for: 5m", "for: 2s");
    fs::write(folder.join("rules.yaml"), rules).unwrap();
    let targets: Vec<String> = [
        &platform.transcriber,
        &platform.embedder,
        &platform.query_svc,
    ]
    .map(|service| format!("\"127.0.0.1:{}\"", service.health_port()))
    .to_vec();
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [rules.yaml]\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: [\"127.0.0.1:{alertmanager}\"]}}]}}]}}\n\
         scrape_configs:\n- job_name: speakr\n  static_configs: [{{targets: [{}]}}]\n",
        targets.join(", ")
    );
    fs::write(folder.join("prometheus.yml"), config).unwrap();
    let config = format!(
        "route: {{receiver: people, group_by: [alertname, service], group_wait: 0s, group_interval: 1s, \
         repeat_interval: 1h}}\nreceivers:\n- name: people\n  webhook_configs: \
         [{{url: \"http://127.0.0.1:{webhook}/\", send_resolved: true}}]\n"
    );
    fs::write(folder.join("alertmanager.yml"), config).unwrap();
    let at = |name: &str| folder.join(name).display().to_string();
    let alerting = Server::start(
        "prometheus-alertmanager",
        &[
            &format!("--config.file={}", at("alertmanager.yml")),
            &format!("--storage.path={}", at("alertmanager")),
            &format!("--web.listen-address=127.0.0.1:{alertmanager}"),
            &format!("--cluster.listen-address=127.0.0.1:{cluster}"),
        ],
        &folder.join("alertmanager.log"),
    );
    let watching = Server::start(
        "prometheus",
        &[
            &format!("--config.file={}", at("prometheus.yml")),
            &format!("--storage.tsdb.path={}", at("prometheus")),
            &format!("--web.listen-address=127.0.0.1:{prometheus}"),
        ],
        &folder.join("prometheus.log"),
    );
    (watching, alerting, format!("http://127.0.0.1:{prometheus}"))
}

#[test]
#[ignore = "takes Debian's prometheus and prometheus-alertmanager: cargo nextest run --run-ignored only"]
fn an_alert_goes_off_reaches_a_webhook_and_ends() {
    let operator = Operator::new();
    let mut platform = Platform::start();
    let webhook = speakr_testkit::process::free_port().unwrap();
    let (_watching, _alerting, prometheus) = monitoring(&platform, operator.folder.path(), webhook);
    // Until it has asked everybody once, everybody is missing.
    std::thread::sleep(Duration::from_secs(15));
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .display()
        .to_string();
    let (stop, start) = (
        operator.command("stop-{service}"),
        operator.command("start-{service}"),
    );
    let listen = format!("127.0.0.1:{webhook}");
    let arguments = [
        "--group",
        "health,alerts",
        "--level",
        "full",
        "--allow-disruption",
        "--prometheus",
        &prometheus,
        "--webhook",
        &listen,
        "--source",
        &source,
        "--stop",
        &stop,
        "--start",
        &start,
        "--alert-patience",
        "120",
    ];
    let seen = operator.run(&mut program(&platform, &arguments), |what| {
        stop_and_start(&mut platform, what);
    });
    seen.passes_but(&[]);
    for service in ["transcriber", "embedder", "query_svc"] {
        let heard = &seen.details[&format!("alerts.{service}-reaches")];
        assert!(heard.contains("the webhook heard it"), "{heard}");
    }
}
