//! Which environment, how hard, and what else is known of it.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use speakr_nats::{BusConfig, Identity, Renewed, TlsFiles};

use super::{check::Group, report::Form, source::Source};

/// How hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    /// Harms nothing, and deletes its own data
    Smoke,
    /// Also stops services, loads, and restores backups beside
    Full,
}

/// The services whose health is asked for.
pub(super) const SERVICES: [&str; 3] = ["transcriber", "embedder", "query_svc"];

/// Whether a platform does what it should: it is used as a client uses it, and looked at as an operator
/// does. What couldn't be looked at is told apart from what holds.
///
/// Credentials come from variables, or from files that variables name (NAME_FILE): SPEAKR_API_TOKEN;
/// NATS_USER and NATS_PASSWORD, or NATS_CREDS; SPEAKR_NATS_OPERATOR_PASSWORD; DATABASE_URL; S3_ENDPOINT,
/// S3_BUCKET, S3_REGION, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY and S3_SESSION_TOKEN. `make up` writes
/// them to .speakr/up.env. docs/validation.md says which check needs what.
///
/// Exit codes: 0 nothing failed, 1 a check failed, 2 usage, 3 the environment can't be reached, 130
/// broken off by Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "speakr-validate", version, term_width = 100)]
pub struct Arguments {
    /// Where the API is
    #[arg(long, env = "SPEAKR_API_URL", value_name = "URL")]
    pub(super) url: String,
    /// A file with the API's token, of the scopes read, write and transcribe (variables: SPEAKR_API_TOKEN,
    /// SPEAKR_API_TOKEN_FILE)
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// What the environment is called: its section of the load file, and the report's heading
    #[arg(long, default_value = "local", value_name = "NAME")]
    pub(super) environment: String,
    /// Who vouches for the API's certificate, as PEM, beside whom the system trusts
    #[arg(long, env = "SPEAKR_VALIDATE_CA", value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// These groups alone (may be repeated, or separated by commas); all where absent
    #[arg(long = "group", value_delimiter = ',', value_name = "GROUP")]
    pub(super) groups: Vec<Group>,
    /// A check that this environment isn't made to pass, with the reason, as in
    /// infra.store-encryption=WHY (may be repeated): it isn't looked at, and the report says why
    #[arg(long = "leave-out", value_name = "GROUP.CHECK=WHY", value_parser = left_out)]
    pub(super) left_out: Vec<(String, String)>,
    /// How hard
    #[arg(long, default_value = "smoke")]
    pub(super) level: Level,
    /// Allows what level "full" does: services are stopped and started
    #[arg(long)]
    pub(super) allow_disruption: bool,
    /// Whether what couldn't be looked at is a failure, too (exit code 1)
    #[arg(long)]
    pub(super) strict: bool,
    /// Forms of the report (may be repeated, or separated by commas)
    #[arg(
        long = "report",
        value_delimiter = ',',
        default_value = "table",
        value_name = "FORM"
    )]
    pub(super) reports: Vec<Form>,
    /// Where the report goes; several each get their ending (.txt, .json, .xml). Else standard output
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Where a service serves its health, as in embedder=http://10.0.0.7:8081 (may be repeated; variables:
    /// SPEAKR_TRANSCRIBER_HEALTH, SPEAKR_EMBEDDER_HEALTH, SPEAKR_QUERY_SVC_HEALTH)
    #[arg(long = "health", value_name = "SERVICE=URL", value_parser = pair)]
    pub(super) health: Vec<(String, String)>,
    /// Where the logs are: a file, a folder (its .log, .json, .jsonl and .txt), or "command:…", which a
    /// shell runs
    #[arg(long, env = "SPEAKR_VALIDATE_LOGS", value_name = "SOURCE")]
    pub(super) logs: Option<Source>,
    /// Where the traces are: a file, a folder, "command:…", or a URL with {trace_id} (Jaeger, Tempo)
    #[arg(long, env = "SPEAKR_VALIDATE_TRACES", value_name = "SOURCE")]
    pub(super) traces: Option<Source>,
    /// A Prometheus that has the rules of k8s/monitoring
    #[arg(long, env = "SPEAKR_VALIDATE_PROMETHEUS", value_name = "URL")]
    pub(super) prometheus: Option<String>,
    /// Where this listens for what Alertmanager sends to a webhook, as in 127.0.0.1:9099
    #[arg(long, env = "SPEAKR_VALIDATE_WEBHOOK", value_name = "ADDRESS")]
    pub(super) webhook: Option<String>,
    /// How long an alert may take to go off, and to end, in seconds
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    pub(super) alert_patience: u64,
    /// Stops a service: a shell runs it, with {service} as transcriber, embedder or query_svc
    #[arg(long, env = "SPEAKR_VALIDATE_STOP", value_name = "COMMAND")]
    pub(super) stop: Option<String>,
    /// Starts it again
    #[arg(long, env = "SPEAKR_VALIDATE_START", value_name = "COMMAND")]
    pub(super) start: Option<String>,
    /// Makes and revokes tokens: "speakr-query-svc token" with its settings; a shell runs it with "create
    /// --name … --scopes …", "list" and "revoke ID"
    #[arg(long, env = "SPEAKR_VALIDATE_TOKEN_COMMAND", value_name = "COMMAND")]
    pub(super) token_command: Option<String>,
    /// Prints settings in which no secret may be (may be repeated); a shell runs it
    #[arg(long = "config-dump", value_name = "COMMAND")]
    pub(super) config_dumps: Vec<String>,
    /// A checkout of the source, with its history
    #[arg(long, env = "SPEAKR_VALIDATE_SOURCE", value_name = "FOLDER")]
    pub(super) source: Option<PathBuf>,
    /// A folder with the archives of a release and their SHA256SUMS
    #[arg(long, value_name = "FOLDER")]
    pub(super) release: Option<PathBuf>,
    /// The expected load (docs/load.toml is built in)
    #[arg(long, value_name = "FILE")]
    pub(super) load: Option<PathBuf>,
    /// How backups of each store are made and put into an environment beside, as TOML
    #[arg(long, value_name = "FILE")]
    pub(super) recovery: Option<PathBuf>,
    /// Files that hold secrets, and may be read by their owner alone (may be repeated; a folder: all in it)
    #[arg(long = "secret-file", value_name = "PATH")]
    pub(super) secret_files: Vec<PathBuf>,
    /// How many copies each stream has to have
    #[arg(
        long,
        env = "SPEAKR_STREAM_REPLICAS",
        default_value_t = 1,
        value_name = "NUMBER"
    )]
    pub(super) replicas: usize,
    /// How long anything may take before it counts as not happening, in seconds
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    pub(super) patience: u64,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, url) = text.split_once('=').ok_or("it has to be SERVICE=URL")?;
    if !SERVICES.contains(&name) {
        return Err(format!("there is no service \"{name}\", but {SERVICES:?}"));
    }
    Ok((name.to_owned(), url.to_owned()))
}

/// Checks that take back what was made or changed: they are no mere looks.
const NEVER_LEFT_OUT: [&str; 2] = ["system.clean", "system.put-back"];

fn left_out(text: &str) -> Result<(String, String), String> {
    let (name, why) = text
        .split_once('=')
        .filter(|(_, why)| !why.trim().is_empty())
        .ok_or("it has to be GROUP.CHECK=WHY")?;
    let group = name.split_once('.').map_or(name, |(group, _)| group);
    Group::from_str(group, false).map_err(|_| format!("there is no group \"{group}\""))?;
    if NEVER_LEFT_OUT.contains(&name) {
        return Err(format!("{name} takes back what was made, and always runs"));
    }
    Ok((name.to_owned(), why.trim().to_owned()))
}

/// The path that the variable `name` holds; an empty one is none.
pub(super) fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// What the variable `name` holds, or the file that `name`_FILE names. Empty ones count as not set: that is how
/// workflows hand over what isn't there.
pub(super) fn variable(name: &str) -> Result<Option<String>, String> {
    if let Ok(value) = std::env::var(name)
        && !value.is_empty()
    {
        return Ok(Some(value));
    }
    let file = format!("{name}_FILE");
    let Some(path) = path(&file) else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("{file} ({}): {error}", path.display()))?;
    Ok(Some(text.trim().to_owned()))
}

/// Access to the bus.
#[derive(Debug, Clone)]
pub(super) struct BusAccess {
    /// As the client that is validated.
    pub(super) config: BusConfig,
    /// Its name on the bus, where it has a password.
    pub(super) user: Option<String>,
    /// The operator's password, for what only that user may see.
    pub(super) operator: Option<String>,
}

impl BusAccess {
    fn from_environment() -> Result<Option<Self>, String> {
        let Some(servers) = variable("NATS_URL")? else {
            return Ok(None);
        };
        let mut config = BusConfig::new(&servers, "speakr-validate");
        let user = variable("NATS_USER")?;
        if let Some(file) = variable("NATS_CREDS")? {
            config.identity = Identity::CredentialsFile(file.into());
        } else if let Some(user) = &user {
            let password = variable("NATS_PASSWORD")?
                .ok_or("NATS_USER is set, and NATS_PASSWORD isn't, nor NATS_PASSWORD_FILE")?;
            config.identity = Identity::Password {
                user: user.clone(),
                password: Renewed::fixed(password),
            };
        }
        config.inbox_prefix = variable("NATS_INBOX_PREFIX")?
            .or_else(|| user.as_ref().map(|user| format!("_INBOX_{user}")));
        config.tls = TlsFiles {
            ca: path("NATS_CA"),
            client: path("NATS_CERT").zip(path("NATS_KEY")),
        };
        Ok(Some(Self {
            config,
            user,
            operator: variable("SPEAKR_NATS_OPERATOR_PASSWORD")?,
        }))
    }

    /// The same servers, as somebody else.
    pub(super) fn as_user(&self, user: &str, password: &str) -> BusConfig {
        BusConfig {
            identity: Identity::Password {
                user: user.to_owned(),
                password: Renewed::fixed(password),
            },
            inbox_prefix: Some(format!("_INBOX_{user}")),
            ..self.config.clone()
        }
    }
}

/// What is known, all of it read.
#[derive(Debug)]
pub(super) struct Settings {
    /// What was asked for.
    pub(super) asked: Arguments,
    /// The API's address without a slash at its end.
    pub(super) url: String,
    /// The API's token.
    pub(super) token: Option<String>,
    /// Access to the bus.
    pub(super) bus: Option<BusAccess>,
    /// The database's URL.
    pub(super) database: Option<String>,
    /// Where each service serves its health, without path.
    pub(super) health: BTreeMap<String, String>,
}

impl Settings {
    /// Reads the rest from the environment.
    pub(super) fn of(asked: Arguments) -> Result<Self, String> {
        if asked.level == Level::Full && !asked.allow_disruption {
            return Err(
                "--level full stops services, loads the platform and restores backups: \
                        it takes --allow-disruption, too"
                    .to_owned(),
            );
        }
        if asked.stop.is_some() != asked.start.is_some() {
            return Err("--stop and --start go together: what is stopped has to come back".into());
        }
        let mut health = BTreeMap::new();
        for service in SERVICES {
            let name = format!("SPEAKR_{}_HEALTH", service.to_uppercase());
            if let Some(url) = variable(&name)? {
                health.insert(service.to_owned(), url);
            }
        }
        health.extend(asked.health.iter().cloned());
        for url in health.values_mut() {
            let base = url.trim_end_matches('/');
            *url = base.strip_suffix("/health").unwrap_or(base).to_owned();
        }
        let token = match &asked.token_file {
            None => variable("SPEAKR_API_TOKEN")?,
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .map_err(|error| format!("--token-file {}: {error}", path.display()))?
                    .trim()
                    .to_owned(),
            ),
        };
        Ok(Self {
            url: asked.url.trim_end_matches('/').to_owned(),
            token,
            bus: BusAccess::from_environment()?,
            database: variable("DATABASE_URL")?,
            health,
            asked,
        })
    }

    /// Which groups.
    pub(super) fn groups(&self) -> Vec<Group> {
        if self.asked.groups.is_empty() {
            return Group::value_variants().to_vec();
        }
        self.asked.groups.clone()
    }

    /// Whether this group was asked for by its name.
    pub(super) fn names(&self, group: Group) -> bool {
        self.asked.groups.contains(&group)
    }

    /// How long anything may take.
    pub(super) const fn patience(&self) -> Duration {
        Duration::from_secs(self.asked.patience)
    }

    /// Whether services may be stopped.
    pub(super) fn may_disrupt(&self) -> bool {
        self.asked.level == Level::Full && self.asked.allow_disruption
    }

    /// Every secret that this program was given, with its name: none may show up anywhere.
    pub(super) fn secrets(&self) -> Vec<(&'static str, String)> {
        let password = self.database.as_deref().and_then(password_of);
        let mut secrets: Vec<(&'static str, Option<String>)> = vec![
            ("the database's password", password),
            ("the API's token", self.token.clone()),
        ];
        for name in [
            "NATS_PASSWORD",
            "SPEAKR_NATS_OPERATOR_PASSWORD",
            "S3_SECRET_ACCESS_KEY",
            "S3_SESSION_TOKEN",
        ] {
            secrets.push((name, variable(name).ok().flatten()));
        }
        // A short one stands in many a text by chance.
        secrets
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .filter(|(_, value)| value.len() >= 8)
            .collect()
    }
}

/// The password in a URL.
fn password_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (user, _) = rest.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    Some(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_in_a_url() {
        assert_eq!(password_of("postgres://u:p@h:5/d").as_deref(), Some("p"));
        assert_eq!(password_of("postgres://u@h/d"), None);
        assert_eq!(password_of("postgres://h/d"), None);
    }

    #[test]
    fn what_is_left_out_is_a_check_and_has_a_reason() {
        assert_eq!(
            left_out("infra.streams=no bus = no streams").unwrap(),
            ("infra.streams".to_owned(), "no bus = no streams".to_owned())
        );
        for wrong in [
            "infra.streams",
            "infra.streams= ",
            "nonsense.streams=why",
            "system.clean=it takes so long",
        ] {
            assert!(left_out(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn full_wants_a_word_more() {
        let asked = |more: &[&str]| {
            let words = ["speakr-validate", "--url", "http://x/"].iter().chain(more);
            Settings::of(Arguments::try_parse_from(words).unwrap())
        };
        assert!(asked(&["--level", "full"]).is_err());
        assert!(asked(&["--stop", "true"]).is_err());
        let settings = asked(&["--level", "full", "--allow-disruption"]).unwrap();
        assert!(settings.may_disrupt());
        assert_eq!(settings.url, "http://x");
        assert!(!asked(&["--allow-disruption"]).unwrap().may_disrupt());
    }
}
