//! How the database is reached, and what it has.

use sqlx::{
    ConnectOptions, Connection, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};

use super::{
    super::{
        Context,
        check::{Seen, chain, ensure, failed, not_checked},
        settings::{path, variable},
    },
    network::{CONNECT, not_on_loopback},
};

/// How PostgreSQL refuses whoever its `pg_hba.conf` has no line for (`invalid_authorization_specification`).
const NOT_AUTHORISED: &str = "28000";

/// The oldest pgvector whose scans go on until a page is full.
const PGVECTOR: (u32, u32) = (0, 8);

/// How it is reached: as the services reach it, where this is given what they are.
pub(super) fn options(context: &Context) -> Seen<PgConnectOptions> {
    let url = context.settings.database.as_ref();
    let url = url.ok_or_else(|| not_checked("no database: DATABASE_URL, or DATABASE_URL_FILE"))?;
    let mut options = url
        .parse::<PgConnectOptions>()
        .map(|options| options.disable_statement_logging())
        .map_err(|error| failed(format!("DATABASE_URL: {error}")))?;
    if let Some(mode) = variable("DATABASE_TLS").map_err(failed)? {
        let mode = mode
            .parse::<PgSslMode>()
            .map_err(|error| failed(format!("DATABASE_TLS: {error}")))?;
        options = options.ssl_mode(mode);
    }
    if let Some(ca) = path("DATABASE_CA") {
        options = options.ssl_root_cert(ca);
    }
    Ok(options)
}

async fn connect(options: &PgConnectOptions) -> Seen<PgConnection> {
    tokio::time::timeout(CONNECT, PgConnection::connect_with(options))
        .await
        .map_err(|_| failed(format!("the database doesn't answer in {CONNECT:?}")))?
        .map_err(|error| failed(format!("the database: {}", chain(&error))))
}

pub(super) async fn pgvector(context: &Context) -> Seen {
    let mut connection = connect(&options(context)?).await?;
    let version: Option<(String,)> =
        sqlx::query_as("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
            .fetch_optional(&mut connection)
            .await
            .map_err(|error| failed(chain(&error)))?;
    let (version,) = version.ok_or_else(|| failed("the database has no pgvector"))?;
    let mut parts = version
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    let is = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    ensure(is >= PGVECTOR, || format!("pgvector is {version}"))?;
    Ok(format!("pgvector {version}"))
}

pub(super) async fn refuses_plaintext(context: &Context) -> Seen {
    let options = options(context)?;
    let host = options.get_host().to_owned();
    if options.get_socket().is_some() || host.starts_with('/') {
        return Err(not_checked(
            "the database is on this machine, without a network to it",
        ));
    }
    // That it answers at all comes first, or nothing refused anything.
    connect(&options).await?;
    let plain = options.clone().ssl_mode(PgSslMode::Disable);
    let answer = tokio::time::timeout(CONNECT, PgConnection::connect_with(&plain))
        .await
        .map_err(|_| failed(format!("the database doesn't answer in {CONNECT:?}")))?;
    match answer {
        // Anything else (a full server, a lost connection) says nothing of encryption.
        Err(sqlx::Error::Database(refusal))
            if refusal.code().as_deref() == Some(NOT_AUTHORISED) =>
        {
            Ok(format!("refused: {refusal}"))
        }
        Err(error) => Err(failed(format!(
            "without encryption the database doesn't refuse, it fails: {}",
            chain(&error)
        ))),
        Ok(_) => {
            not_on_loopback("the database", &host, options.get_port()).await?;
            Err(failed("it takes a connection with sslmode=disable"))
        }
    }
}
