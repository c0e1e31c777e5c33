//! From inside: how what the platform stands on is set up.

mod database;
mod network;
mod store;

use std::{
    ffi::OsString,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use speakr_nats::Bus;

use super::{
    Context, bus,
    check::{Runner, Seen, chain, ensure, failed, not_checked},
    settings::BusAccess,
};

/// The streams, and how each has to be.
const STREAMS: [&str; 4] = [
    "SPEAKR_COMMANDS",
    "SPEAKR_AUDIO",
    "SPEAKR_EVENTS",
    "SPEAKR_DEAD_LETTER",
];

pub(super) async fn run(context: &Context, runner: &Runner<'_>) {
    runner
        .check(
            "streams",
            "streams lie in files, with the copies that are wanted, all of them up to date",
            streams(context),
        )
        .await;
    runner
        .check(
            "pgvector",
            "the database has pgvector 0.8 or newer",
            database::pgvector(context),
        )
        .await;
    runner
        .check(
            "database-plaintext",
            "the database refuses a connection that isn't encrypted",
            database::refuses_plaintext(context),
        )
        .await;
    runner
        .check(
            "bus-plaintext",
            "the bus wants TLS",
            network::plain_bus(context),
        )
        .await;
    runner
        .check(
            "api-plaintext",
            "the API is reached by TLS",
            network::plain_api(context),
        )
        .await;
    runner
        .check(
            "store-encryption",
            "the store encrypts what lies in it, and is reached by TLS",
            store::encrypts(context),
        )
        .await;
    runner
        .check(
            "store-strangers",
            "the store gives nothing to who has no key",
            store::strangers(context),
        )
        .await;
    runner
        .check(
            "secret-files",
            "files with secrets are read by their owners alone",
            files(context),
        )
        .await;
    runner
        .check(
            "addresses",
            "database and health have no public address",
            network::addresses(context),
        )
        .await;
}

async fn operator(access: &BusAccess) -> Seen<Bus> {
    let password = access.operator.as_ref().ok_or_else(|| {
        not_checked("only the operator may look at streams: SPEAKR_NATS_OPERATOR_PASSWORD")
    })?;
    Ok(Bus::connect(&access.as_user("operator", password)).await?)
}

async fn streams(context: &Context) -> Seen {
    let bus = operator(bus::access(&context.settings)?).await?;
    let wanted = context.settings.asked.replicas;
    let mut told = Vec::new();
    for name in STREAMS {
        let stream = bus
            .jetstream()
            .get_stream(name)
            .await
            .map_err(|error| failed(format!("{name}: {}", chain(&error))))?;
        let info = stream.cached_info();
        let config = &info.config;
        ensure(config.num_replicas == wanted, || {
            format!(
                "{name} has {} copies and should have {wanted}",
                config.num_replicas
            )
        })?;
        ensure(
            config.storage == async_nats::jetstream::stream::StorageType::File,
            || format!("{name} lies in memory, which an end of the server empties"),
        )?;
        if wanted > 1 {
            let cluster = info.cluster.as_ref();
            let replicas = cluster.map(|c| c.replicas.as_slice()).unwrap_or_default();
            let behind: Vec<&str> = replicas
                .iter()
                .filter(|peer| !peer.current || peer.offline)
                .map(|peer| peer.name.as_str())
                .collect();
            ensure(behind.is_empty() && replicas.len() + 1 == wanted, || {
                format!(
                    "{name}: of {} other copies these are behind or away: {behind:?}",
                    replicas.len()
                )
            })?;
        }
        told.push(format!("{name} {} bytes", info.state.bytes));
    }
    Ok(format!(
        "{wanted} copies each, in files; {}",
        told.join(", ")
    ))
}

async fn files(context: &Context) -> Seen {
    let mut paths: Vec<PathBuf> = context.settings.asked.secret_files.clone();
    paths.extend(secret_files_of(std::env::vars_os()));
    if paths.is_empty() {
        return Err(not_checked(
            "no file with a secret is known: --secret-file PATH, or NAME_FILE",
        ));
    }
    let mut all = Vec::new();
    for path in &paths {
        below(path, &mut all)?;
    }
    for path in &all {
        let mode = std::fs::metadata(path)?.mode() & 0o777;
        // In a pod the group is the pod's own; nobody else is in it.
        ensure(mode & 0o037 == 0, || {
            format!("{} has the mode {mode:03o}", path.display())
        })?;
    }
    Ok(format!("{} files", all.len()))
}

/// The files with secrets that variables name.
fn secret_files_of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<PathBuf> {
    const ENDS: [&str; 4] = [
        "PASSWORD_FILE",
        "TOKEN_FILE",
        "KEY_FILE",
        "DATABASE_URL_FILE",
    ];
    variables
        .into_iter()
        .filter(|(name, value)| {
            let name = name.to_string_lossy();
            let secret = ENDS.iter().any(|end| name.ends_with(end)) || name == "NATS_CREDS";
            // What isn't there is handed over empty by workflows.
            secret && !value.is_empty()
        })
        .map(|(_, value)| value.into())
        .collect()
}

/// The file itself, or the files of the folder. Kubernetes keeps them behind names that begin with "..".
fn below(path: &Path, all: &mut Vec<PathBuf>) -> Seen<()> {
    let missing = |error: std::io::Error| failed(format!("{}: {error}", path.display()));
    if !std::fs::metadata(path).map_err(missing)?.is_dir() {
        all.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(missing)?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with("..") {
            below(&entry.path(), all)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_mount_are_found_without_its_inner_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("..data")).unwrap();
        std::fs::write(folder.path().join("..data/a"), "x").unwrap();
        std::fs::write(folder.path().join("a"), "x").unwrap();
        let mut all = Vec::new();
        below(folder.path(), &mut all).unwrap();
        assert_eq!(all, [folder.path().join("a")]);
        assert!(below(&folder.path().join("none"), &mut all).is_err());
    }
    #[test]
    fn of_the_variables_those_count_that_name_a_file_with_a_secret() {
        let variables = [
            ("SPEAKR_API_TOKEN_FILE", "/run/token"),
            ("S3_SECRET_ACCESS_KEY_FILE", ""),
            ("NATS_CREDS", "/run/bus.creds"),
            ("DATABASE_URL_FILE", ""),
            ("HOME", "/home/someone"),
        ];
        let files = secret_files_of(variables.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(
            files,
            [PathBuf::from("/run/token"), PathBuf::from("/run/bus.creds")]
        );
    }
}
