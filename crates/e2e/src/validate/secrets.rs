//! Who has no right is sent away, nobody gets in by a default, and no secret is shown anywhere.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Method, header};
use serde_json::{Value, json};
use speakr_nats::{Bus, BusConfig, Identity};

use super::{
    Context, bus,
    check::{Runner, Seen, chain, ensure, failed, not_checked},
    health,
    settings::SERVICES,
    source::shell,
};

/// What people set and forget.
const DEFAULTS: [&str; 8] = [
    "admin", "changeme", "demo", "password", "secret", "speakr", "test", "token",
];

/// Users and passwords that servers and their tutorials have.
const BUS_DEFAULTS: [(&str, &str); 7] = [
    ("cli", "cli"),
    ("cli", "password"),
    ("operator", "operator"),
    ("transcriber", "transcriber"),
    ("nats", "nats"),
    ("admin", "admin"),
    ("acc", "acc"),
];

/// What a client must not ask of the bus. Each only reads.
const FORBIDDEN: [&str; 4] = [
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.INFO.SPEAKR_EVENTS",
    "$JS.API.STREAM.MSG.GET.SPEAKR_EVENTS",
    "$JS.API.CONSUMER.NAMES.SPEAKR_COMMANDS",
];

/// How long an answer that must not come is waited for.
const NO_ANSWER: Duration = Duration::from_secs(2);

/// How long a revoked token may go on.
const REVOKED: Duration = Duration::from_secs(60);

pub(super) async fn run(context: &Context, runner: &Runner<'_>) {
    runner
        .check(
            "no-token",
            "without a token nothing is answered but health and the document",
            no_token(context),
        )
        .await;
    runner
        .check(
            "wrong-token",
            "a wrong token, and every default one, is refused",
            wrong_token(context),
        )
        .await;
    runner
        .check(
            "bus-strangers",
            "the bus refuses nobody's, wrong and default credentials",
            strangers(context),
        )
        .await;
    runner
        .check(
            "bus-rights",
            "a client can't ask the bus for what isn't its own",
            rights(context),
        )
        .await;
    runner
        .check(
            "shown",
            "health, metrics, documents and logs show no secret",
            shown(context),
        )
        .await;
    runner
        .check("config", "dumps of settings show no secret", dumps(context))
        .await;
    runner
        .check(
            "history",
            "the history of the source has no secret",
            history(context),
        )
        .await;
    runner
        .check(
            "rotation",
            "a new token works, allows what it says, and ends when revoked",
            rotation(context),
        )
        .await;
}

/// Operations that need a token, by the document.
fn guarded(document: &Value) -> Vec<(Method, String)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            if operation["responses"]["401"].is_object()
                && let Ok(method) = method.to_uppercase().parse()
            {
                let path = path.replace("{recording_id}", "00000000-0000-4000-8000-000000000000");
                all.push((method, path));
            }
        }
    }
    all
}

async fn operations(context: &Context) -> Seen<Vec<(Method, String)>> {
    let api = &context.api;
    let answer = api.once(api.bare(Method::GET, "/openapi.json")).await?;
    let all = guarded(&answer.expect(200)?.json()?);
    ensure(!all.is_empty(), || {
        "the document says of no operation that it needs a token".to_owned()
    })?;
    Ok(all)
}

async fn no_token(context: &Context) -> Seen {
    let api = &context.api;
    let all = operations(context).await?;
    for (method, path) in &all {
        let answer = api
            .send(api.bare(method.clone(), path))
            .await?
            .expect(401)?;
        let asks = answer.header("www-authenticate");
        ensure(asks.starts_with("Bearer"), || {
            format!(
                "{} is refused without saying what it wants: \"{asks}\"",
                answer.asked
            )
        })?;
    }
    Ok(format!("{} operations, each 401", all.len()))
}

async fn wrong_token(context: &Context) -> Seen {
    let api = &context.api;
    let random = uuid::Uuid::new_v4().simple().to_string();
    let mut tokens: Vec<String> = DEFAULTS.map(str::to_owned).to_vec();
    tokens.extend([random.clone(), format!("speakr_{random}{random}")]);
    if let Some(token) = &context.settings.token {
        // One letter more than the right one.
        tokens.push(format!("{token}x"));
    }
    for token in &tokens {
        let request = api.bare(Method::GET, "/api/v1/recordings?limit=1");
        let answer = api.send(request.bearer_auth(token)).await?;
        ensure(answer.status == 401, || {
            format!("a wrong token is answered with {}", answer.status)
        })?;
    }
    let basic = api.bare(Method::GET, "/api/v1/recordings?limit=1");
    api.send(basic.basic_auth("admin", Some("admin")))
        .await?
        .expect(401)?;
    Ok(format!(
        "{} wrong tokens and a password, each 401",
        tokens.len()
    ))
}

/// Whether the bus sends this one away, and not for another reason.
async fn refuses(config: &BusConfig, who: &str) -> Seen<()> {
    match Bus::connect(config).await {
        Ok(_) => Err(failed(format!("the bus takes {who}"))),
        Err(error) => {
            let why = chain(&error).to_lowercase();
            ensure(why.contains("authoriz") || why.contains("authent"), || {
                format!("{who} couldn't connect, but not for want of rights: {why}")
            })
        }
    }
}

async fn strangers(context: &Context) -> Seen {
    let access = bus::access(&context.settings)?;
    bus::connect(&context.settings).await?;
    let nobody = BusConfig {
        identity: Identity::Anonymous,
        inbox_prefix: None,
        ..access.config.clone()
    };
    ensure(!nobody.servers.contains('@'), || {
        "NATS_URL holds a user, which stands in lists of processes: use NATS_USER".to_owned()
    })?;
    refuses(&nobody, "somebody without credentials").await?;
    let mut count = 1;
    for (user, password) in BUS_DEFAULTS {
        refuses(
            &access.as_user(user, password),
            &format!("{user} with the password {user}"),
        )
        .await?;
        count += 1;
    }
    if let Some(user) = &access.user {
        let wrong = uuid::Uuid::new_v4().to_string();
        refuses(
            &access.as_user(user, &wrong),
            &format!("{user} with a wrong password"),
        )
        .await?;
        count += 1;
    }
    Ok(format!("{count} strangers, each refused"))
}

async fn rights(context: &Context) -> Seen {
    let connection = bus::connect(&context.settings).await?;
    for subject in FORBIDDEN {
        let request = connection.client().request(subject, "{\"seq\":1}".into());
        let answered = tokio::time::timeout(NO_ANSWER, request).await;
        ensure(!matches!(answered, Ok(Ok(_))), || {
            format!("a client may ask for {subject}")
        })?;
    }
    Ok(format!("{} questions, none answered", FORBIDDEN.len()))
}

/// Fails when any secret that this program was given stands in `text`.
fn without_secrets(context: &Context, what: &str, text: &str) -> Seen<()> {
    for (name, secret) in context.settings.secrets() {
        ensure(!text.contains(&secret), || format!("{what} shows {name}"))?;
    }
    Ok(())
}

async fn shown(context: &Context) -> Seen {
    let known = context.settings.secrets();
    if known.is_empty() {
        return Err(not_checked(
            "no secret was given, so none can be looked for",
        ));
    }
    let mut looked_at = Vec::new();
    let api = &context.api;
    for path in ["/health", "/openapi.json", "/docs"] {
        let text = api.once(api.bare(Method::GET, path)).await?.text();
        without_secrets(context, path, &text)?;
        looked_at.push(path.to_owned());
    }
    let answer = api
        .once(
            api.bare(Method::GET, "/api/v1/recordings")
                .header(header::AUTHORIZATION, "Bearer wrong"),
        )
        .await?;
    without_secrets(context, "a refusal", &answer.text())?;
    for service in SERVICES {
        if context.settings.health.contains_key(service) {
            let text = health::metrics(context, service).await?;
            without_secrets(context, &format!("/metrics of {service}"), &text)?;
            looked_at.push(format!("/metrics of {service}"));
        }
    }
    if let Some(logs) = &context.settings.asked.logs {
        let text = logs
            .text(&api.client, &[("recording_id", ""), ("correlation_id", "")])
            .await?;
        without_secrets(context, "the log", &text)?;
        looked_at.push("the log".to_owned());
    }
    Ok(format!(
        "{} secrets, looked for in {}",
        known.len(),
        looked_at.join(", ")
    ))
}

async fn dumps(context: &Context) -> Seen {
    let commands = &context.settings.asked.config_dumps;
    if commands.is_empty() {
        return Err(not_checked(
            "no dump of settings was named: --config-dump COMMAND",
        ));
    }
    for command in commands {
        let text = shell(command, context.settings.patience()).await?;
        ensure(!text.trim().is_empty(), || {
            format!("`{command}` printed nothing")
        })?;
        without_secrets(context, &format!("`{command}`"), &text)?;
        if let Some(form) = text.lines().find_map(secret_form) {
            return Err(failed(format!("`{command}` shows {form}")));
        }
    }
    Ok(format!("{} dumps", commands.len()))
}

/// What in a line has the form of a secret, without the secret.
fn secret_form(line: &str) -> Option<&'static str> {
    let after = |prefix: &str, length: usize, allowed: fn(char) -> bool| {
        line.match_indices(prefix).any(|(at, _)| {
            let whole = !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
            let rest = &line[at + prefix.len()..];
            whole && rest.chars().take_while(|c| allowed(*c)).count() >= length
        })
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    let header = ["-----BEGIN ", "PRIVATE KEY-----"];
    // A header alone is a pattern that looks for keys; a key has more in its line or the next.
    if line.contains(header[0]) && line.trim_end().ends_with(header[1]) && !line.contains('\\') {
        return Some("a private key");
    }
    for (prefix, length, allowed, form) in [
        ("AKIA", 16, capital as fn(char) -> bool, "a key of AWS"),
        ("ASIA", 16, capital, "a key of AWS"),
        ("ghp_", 36, word, "a token of GitHub"),
        ("github_pat_", 40, word, "a token of GitHub"),
        ("xoxb-", 20, word, "a token of Slack"),
        ("sk-", 40, word, "a key of a model's API"),
        ("SUA", 50, capital, "the seed of an nkey"),
        ("SAA", 50, capital, "the seed of an nkey"),
    ] {
        if after(prefix, length, allowed) {
            return Some(form);
        }
    }
    None
}

async fn history(context: &Context) -> Seen {
    let source = context.settings.asked.source.as_deref();
    let source = source.ok_or_else(|| not_checked("no checkout of the source: --source FOLDER"))?;
    if !source.join(".git").exists() {
        return Err(not_checked(format!(
            "{} has no history (.git)",
            source.display()
        )));
    }
    let (source, secrets) = (source.to_owned(), context.settings.secrets());
    tokio::task::spawn_blocking(move || search_history(&source, &secrets))
        .await
        .map_err(failed)?
}

fn search_history(source: &Path, secrets: &[(&'static str, String)]) -> Seen {
    let mut git = Command::new("git")
        .arg("-C")
        .arg(source)
        .args([
            "log",
            "--all",
            "--patch",
            "--no-color",
            "--no-textconv",
            "--no-ext-diff",
            "--unified=0",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| not_checked(format!("git: {error}")))?;
    let out = git
        .stdout
        .take()
        .ok_or_else(|| failed("git has no output"))?;
    let mut reader = BufReader::new(out);
    let (mut commit, mut file) = (String::new(), String::new());
    let (mut commits, mut line) = (0, Vec::new());
    let mut found = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        if let Some(id) = text.strip_prefix("commit ") {
            id.trim().clone_into(&mut commit);
            commits += 1;
        } else if let Some(name) = text.strip_prefix("+++ b/") {
            name.trim().clone_into(&mut file);
        } else if let Some(added) = text.strip_prefix('+') {
            let ours = secrets
                .iter()
                .find(|(_, secret)| added.contains(secret.as_str()));
            let form = ours.map(|(name, _)| *name).or_else(|| secret_form(added));
            if let Some(form) = form {
                let short = commit.get(..12).unwrap_or(&commit);
                found.push(format!("{form} in {file} of {short}"));
            }
        }
    }
    let ended = git.wait()?;
    ensure(ended.success(), || format!("git log ended with {ended}"))?;
    ensure(found.is_empty(), || found.join("\n"))?;
    Ok(format!(
        "{commits} commits, {} known secrets and 8 forms of others",
        secrets.len()
    ))
}

async fn rotation(context: &Context) -> Seen {
    let command = context.settings.asked.token_command.as_deref().ok_or_else(|| {
        not_checked("how tokens are made isn't known: --token-command, which \"create\", \"list\" and \"revoke\" follow")
    })?;
    let api = &context.api;
    let patience = context.settings.patience();
    let name = api.own.tag.clone();
    let made = shell(
        &format!("{command} create --name {name} --scopes read"),
        patience,
    )
    .await?;
    let token = made.trim().to_owned();
    ensure(!token.is_empty(), || "no token was printed".to_owned())?;
    context.owe_token(&name);
    let list = |token: &str| {
        let request = api.bare(Method::GET, "/api/v1/recordings?limit=1");
        api.send(request.bearer_auth(token))
    };
    let works = list(&token).await.and_then(|answer| answer.expect(200));
    let nobody = "/api/v1/recordings/00000000-0000-4000-8000-000000000000";
    let delete = api.bare(Method::DELETE, nobody).bearer_auth(&token);
    let limited = api.send(delete).await.and_then(|answer| answer.expect(403));
    revoke(command, &name, patience).await?;
    context.paid_token();
    works?;
    limited?;
    let began = Instant::now();
    while list(&token).await?.status != 401 {
        ensure(began.elapsed() < REVOKED, || {
            format!("a revoked token goes on for {REVOKED:?}")
        })?;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(format!(
        "made, read with, refused to delete (403), revoked, refused (401) {:.1} s later",
        began.elapsed().as_secs_f64()
    ))
}

/// Revokes the tokens of this name.
pub(super) async fn revoke(command: &str, name: &str, patience: Duration) -> Seen<()> {
    let listed = shell(&format!("{command} list"), patience).await?;
    let mut revoked = 0;
    for line in listed.lines() {
        let grant: Value = serde_json::from_str(line).unwrap_or_else(|_| json!({}));
        if grant["name"] == name
            && let Some(id) = grant["token_id"].as_str()
        {
            shell(&format!("{command} revoke {id}"), patience).await?;
            revoked += 1;
        }
    }
    ensure(revoked > 0, || {
        format!("the token {name} isn't listed, and can't be revoked")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_secrets_are_known_and_patterns_for_them_are_none() {
        let key = format!("-----BEGIN {}PRIVATE KEY-----", "RSA ");
        assert_eq!(secret_form(&key), Some("a private key"));
        let aws = format!("id = AKIA{}", "A7".repeat(8));
        assert_eq!(secret_form(&aws), Some("a key of AWS"));
        let token = format!("\"ghp_{}\"", "a".repeat(36));
        assert_eq!(secret_form(&token), Some("a token of GitHub"));
        for innocent in [
            "AKIA is how they begin",
            "task-list-of-things",
            "BEGIN PRIVATE KEY",
            "xAKIA",
        ] {
            assert_eq!(secret_form(innocent), None, "{innocent}");
        }
    }
}
