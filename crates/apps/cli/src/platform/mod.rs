//! The platform, where one is set up: its bus makes the text, its query API has the recordings.

mod spoken;

use std::time::Duration;

use speakr_api::{ApiClient, ApiConfig, ApiError, Token};
use speakr_core::CorrelationId;
use speakr_nats::{Bus, BusConfig, BusError, Identity, Renewed, Request, TlsFiles};
use speakr_telemetry::traces::TraceHeaders;
use url::Url;

pub(crate) use self::spoken::{Spoken, SpokenBy, sound_of};
use crate::{
    config::{Servers, Settings},
    failure::{ExitCode, Failure},
    telemetry::Trace,
};

/// The user of this program in the shipped server config, and the name that the server shows.
const USER: &str = "cli";
/// How long a command that speaks to nobody waits for the bus.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
/// How long the query API may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// What to do when the platform can't be reached.
const ALONE: &str = "`--local` works without the platform";

/// How to reach the bus; nothing where this program works alone.
pub(crate) fn bus_config(settings: &Settings) -> Option<BusConfig> {
    let mut config = BusConfig::new(settings.nats_url.reveal()?, "speakr");
    config.identity = match (
        &settings.nats_creds,
        settings.nats_nkey.reveal(),
        &settings.nats_user,
    ) {
        (Some(file), _, _) => Identity::CredentialsFile(file.clone()),
        (None, Some(seed), _) => Identity::Nkey(Renewed::fixed(seed)),
        (None, None, Some(user)) => Identity::Password {
            user: user.clone(),
            password: Renewed::fixed(settings.nats_password.reveal().unwrap_or_default()),
        },
        (None, None, None) => Identity::Anonymous,
    };
    config.tls = TlsFiles {
        ca: settings.nats_ca.clone(),
        client: settings.nats_cert.clone().zip(settings.nats_key.clone()),
    };
    config.inbox_prefix = Some(
        settings
            .nats_inbox_prefix
            .clone()
            .unwrap_or_else(|| format!("_INBOX_{USER}")),
    );
    Some(config)
}

/// A connection that is there before anything else is done.
///
/// # Errors
/// Why there is none, and what to do.
pub(crate) async fn connect(config: &BusConfig) -> Result<Bus, Failure> {
    match tokio::time::timeout(CONNECTS_WITHIN, Bus::connect(config)).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(unreachable(config).await),
    }
}

/// Why there is no connection: asked once more, because a connection that is tried for ever says
/// not why it doesn't come about.
async fn unreachable(config: &BusConfig) -> Failure {
    let mut once = config.clone();
    once.start_without_server = false;
    match tokio::time::timeout(CONNECTS_WITHIN, Bus::connect(&once)).await {
        Ok(Err(error)) => error.into(),
        _ => Failure::new(
            ExitCode::Failed,
            format!("NATS at {} doesn't answer", config.servers_shown()),
        )
        .hint(ALONE),
    }
}

/// A request of this name as a part of the trace of `headers`; it begins one where there are none.
fn request(name: CorrelationId, headers: Option<TraceHeaders>) -> Request {
    match headers {
        Some(headers) => Request {
            correlation_id: *name.as_uuid(),
            traceparent: Some(headers.traceparent),
            tracestate: headers.tracestate,
        },
        None => Request::traced(*name.as_uuid(), None),
    }
}

/// A client of the query API, whose requests are a part of `trace`; nothing where none is set up.
///
/// # Errors
/// What is wrong with its settings.
pub(crate) fn api(settings: &Settings, trace: &Trace) -> Result<Option<ApiClient>, Failure> {
    let Some(url) = api_url(settings)? else {
        return Ok(None);
    };
    let token = match (settings.api_token.reveal(), &settings.api_token_file) {
        (Some(token), _) => Some(Token::new(token)),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).map_err(|e| {
                Failure::new(
                    ExitCode::Usage,
                    format!("api_token_file: can't read {}: {e}", file.display()),
                )
            })?;
            Some(Token::new(&text))
        }
        (None, None) => from_keychain(&url).map(|token| Token::new(&token)),
    };
    let config = ApiConfig {
        url,
        token,
        timeout: ANSWERS_WITHIN,
        traceparent: trace.headers().map(|of| of.traceparent.clone()),
        tracestate: trace.headers().and_then(|of| of.tracestate.clone()),
    };
    Ok(Some(ApiClient::new(config)?))
}

/// What the keychain has for `url`. Where there is no keychain there is no token either.
fn from_keychain(url: &Url) -> Option<String> {
    speakr_keychain::token(url).unwrap_or_else(|error| {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "no token from the keychain"
        );
        None
    })
}

/// Where the query API is; none where none is set.
///
/// # Errors
/// That it is no URL of a server.
pub(crate) fn api_url(settings: &Settings) -> Result<Option<Url>, Failure> {
    server("api_url", &settings.api_url, "https://speakr.example")
}

/// Where traces are told; none where none is set.
///
/// # Errors
/// That it is no URL of a server.
pub(crate) fn otlp_endpoint(settings: &Settings) -> Result<Option<Url>, Failure> {
    server(
        "otlp_endpoint",
        &settings.otlp_endpoint,
        "http://localhost:4318",
    )
}

fn server(key: &str, set: &Servers, example: &str) -> Result<Option<Url>, Failure> {
    let Some(text) = set.reveal() else {
        return Ok(None);
    };
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .map(Some)
        .ok_or_else(|| {
            let shown = set.shown().unwrap_or_default();
            Failure::new(
                ExitCode::Usage,
                format!("{key}: \"{shown}\" is no URL of a server"),
            )
            .hint(format!("it is like {example}"))
        })
}

impl From<BusError> for Failure {
    fn from(error: BusError) -> Self {
        let code = match &error {
            BusError::Config { .. } => ExitCode::Usage,
            _ => ExitCode::Failed,
        };
        let failure = Self::from_error(code, &error);
        match error {
            BusError::Connect { .. } => failure.hint(format!(
                "`speakr config show` tells what it connects as; {ALONE}"
            )),
            BusError::Full { .. } => {
                failure.hint("the platform has too much to do; later it may go")
            }
            _ => failure,
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let code = match &error {
            ApiError::Setup { .. } | ApiError::Refused { .. } => ExitCode::Usage,
            ApiError::NotFound { .. } | ApiError::NotReady { .. } => ExitCode::NotFound,
            _ => ExitCode::Failed,
        };
        let failure = Self::from_error(code, &error);
        match error {
            ApiError::Unreachable { .. } => {
                failure.hint("`--local` looks at the recordings of this machine")
            }
            ApiError::Unauthorised { .. } => failure.hint(
                "set SPEAKR_API_TOKEN to a token of `speakr-query-svc token create` with the scope \
                 that this needs",
            ),
            _ => failure,
        }
    }
}
