//! The shipped rules, by Prometheus and Alertmanager as they are.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use speakr_e2e::{
    platform::Platform,
    program::PATIENCE,
    requirement::need,
    validation::{Seen, validator},
};
use speakr_testkit::process::free_port;

use crate::operator::{Operator, stop_and_start};

/// The folder of the source.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A server that ends with this.
struct Server(Child);

impl Server {
    fn start(program: &Path, arguments: &[&str], log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("{}: {error}", program.display())))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Prometheus over a platform, and Alertmanager, which tells a webhook.
struct Monitoring {
    _servers: [Server; 2],
    prometheus: String,
    runtime: tokio::runtime::Runtime,
}

impl Monitoring {
    /// With these rules; `None` where `SPEAKR_TEST_SKIP` lists one of the two.
    fn start(platform: &Platform, operator: &Operator, rules: &str, webhook: u16) -> Option<Self> {
        let prometheus = need("prometheus", "prometheus")?;
        let alertmanager = need("prometheus-alertmanager", "prometheus-alertmanager")?;
        let port = || free_port().unwrap();
        let (asked, told, cluster) = (port(), port(), port());
        operator.write("rules.yaml", rules);
        let services = [
            &platform.transcriber,
            &platform.embedder,
            &platform.query_svc,
        ];
        let targets = services.map(|one| format!("\"127.0.0.1:{}\"", one.health_port()));
        let watched = operator.write(
            "prometheus.yml",
            &format!(
                "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
                 rule_files: [rules.yaml]\n\
                 alerting:\n  alertmanagers:\n  - static_configs: [{{targets: [\"127.0.0.1:{told}\"]}}]\n\
                 scrape_configs:\n- job_name: speakr\n  static_configs: [{{targets: [{}]}}]\n",
                targets.join(", ")
            ),
        );
        let people = operator.write(
            "alertmanager.yml",
            &format!(
                "route: {{receiver: people, group_by: [alertname, service], group_wait: 0s, \
                 group_interval: 1s, repeat_interval: 1h}}\n\
                 receivers:\n- name: people\n  webhook_configs:\n  \
                 - {{url: \"http://127.0.0.1:{webhook}/\", send_resolved: true}}\n"
            ),
        );
        let at = |name: &str| operator.folder().join(name).display().to_string();
        let alerting = Server::start(
            &alertmanager,
            &[
                &format!("--config.file={people}"),
                &format!("--storage.path={}", at("alertmanager")),
                &format!("--web.listen-address=127.0.0.1:{told}"),
                &format!("--cluster.listen-address=127.0.0.1:{cluster}"),
            ],
            &operator.folder().join("alertmanager.log"),
        );
        let watching = Server::start(
            &prometheus,
            &[
                &format!("--config.file={watched}"),
                &format!("--storage.tsdb.path={}", at("prometheus")),
                &format!("--web.listen-address=127.0.0.1:{asked}"),
            ],
            &operator.folder().join("prometheus.log"),
        );
        let monitoring = Self {
            _servers: [watching, alerting],
            prometheus: format!("http://127.0.0.1:{asked}"),
            runtime: tokio::runtime::Runtime::new().unwrap(),
        };
        monitoring.wait_until_calm();
        Some(monitoring)
    }

    /// Until it has asked everybody, everybody is missing.
    fn wait_until_calm(&self) {
        let began = Instant::now();
        loop {
            let heard = self.ask("/api/v1/query?query=speakr_build_info");
            let alerts = self.ask("/api/v1/alerts");
            let count = |of: &Value, key: &str| of["data"][key].as_array().map(Vec::len);
            if count(&heard, "result") == Some(3) && count(&alerts, "alerts") == Some(0) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{heard}\n{alerts}");
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn ask(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.prometheus);
        self.runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            match client.get(url).send().await {
                Ok(answer) => answer.json().await.unwrap_or_default(),
                Err(_) => Value::Null,
            }
        })
    }
}

/// The shipped rules, which wait seconds instead of minutes.
fn rules() -> String {
    let file = Path::new(SOURCE).join("k8s/monitoring/alerts.yaml");
    let shipped = fs::read_to_string(file).unwrap();
    shipped.replace("for: 5m", "for: 2s")
}

#[test]
#[ignore = "takes Debian's prometheus and prometheus-alertmanager: make validate-test"]
fn an_alert_goes_off_reaches_a_webhook_and_ends() {
    let operator = Operator::new();
    let mut platform = Platform::start();
    let webhook = free_port().unwrap();
    let Some(monitoring) = Monitoring::start(&platform, &operator, &rules(), webhook) else {
        return;
    };
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
        &monitoring.prometheus,
        "--webhook",
        &listen,
        "--source",
        SOURCE,
        "--stop",
        &stop,
        "--start",
        &start,
        "--alert-patience",
        "120",
    ];
    let mut command = validator(&platform, &arguments);
    let seen = operator.run(&mut command, |what| stop_and_start(&mut platform, what));
    seen.passes_but(&[]);
    for service in ["transcriber", "embedder", "query_svc"] {
        let heard = &seen.details[&format!("alerts.{service}-reaches")];
        assert!(heard.contains("the webhook heard it"), "{heard}");
    }
}

#[test]
#[ignore = "takes Debian's prometheus and prometheus-alertmanager: make validate-test"]
fn monitoring_that_lacks_a_rule_or_hears_not_all_services_is_told_of() {
    let operator = Operator::new();
    let mut platform = Platform::start();
    let lacking = rules().replace("SpeakrDeadLetters", "SpeakrOther");
    let webhook = free_port().unwrap();
    let Some(monitoring) = Monitoring::start(&platform, &operator, &lacking, webhook) else {
        return;
    };
    let look = |platform: &Platform| -> Seen {
        let arguments = ["--group", "alerts", "--prometheus", &monitoring.prometheus];
        Seen::by(&mut validator(platform, &arguments))
    };
    let seen = look(&platform);
    assert_eq!(seen.that("failed"), ["alerts.rules"], "{}", seen.said);
    let why = &seen.details["alerts.rules"];
    assert!(why.contains("SpeakrDeadLetters"), "{why}");

    platform.embedder.kill();
    let began = Instant::now();
    while monitoring.ask("/api/v1/alerts")["data"]["alerts"][0]["state"] != "firing" {
        assert!(began.elapsed() < PATIENCE, "no alert went off");
        thread::sleep(Duration::from_millis(200));
    }
    let seen = look(&platform);
    let red = ["alerts.quiet", "alerts.rules", "alerts.targets"];
    assert_eq!(seen.that("failed"), red, "{}", seen.said);
    let why = &seen.details["alerts.targets"];
    assert!(why.contains("speakr-embedder"), "{why}");
}
