//! What this program tells of its own work: logs on standard error, and, where a collector is set, the
//! trace of what it asks of a platform.

use std::time::Duration;

use speakr_core::{CorrelationId, RecordingId};
use speakr_telemetry::{
    Collector, last,
    traces::{self, SdkTracerProvider, TraceHeaders},
};
use tracing::{Span, field::Empty};
use tracing_subscriber::{
    EnvFilter, Layer, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt,
};

use crate::{
    config::Settings,
    failure::{ExitCode, Failure},
    output::Output,
    platform, terminal,
};

/// Who tells, as the collector has it.
const SERVICE: &str = "speakr";
/// The spans that are told: our own.
const TARGET: &str = "speakr::";
/// How long the collector may take to hear of the last span: somebody waits for the prompt.
const LAST_SPAN: Duration = Duration::from_secs(2);

/// What tells, from the first line of a log to the last span.
pub(crate) struct Telemetry {
    spans: Option<SdkTracerProvider>,
    command: Span,
}

impl Telemetry {
    /// Begins to log, and, where `command` asks something of a platform and a collector is set, to
    /// trace it. Call it within the program's runtime. No transcript text and no secret is logged
    /// below debug; spans have ids and how it ended, and nothing else.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub(crate) fn start(
        settings: &Settings,
        command: Option<&'static str>,
    ) -> Result<Self, Failure> {
        let directives = settings.log.as_str();
        let filter = EnvFilter::try_new(directives).map_err(|e| {
            Failure::new(
                ExitCode::Usage,
                format!("\"{directives}\" is no filter of logs: {e}"),
            )
        })?;
        let traced = command.filter(|_| settings.nats_url.reveal().is_some());
        let endpoint = match traced {
            Some(_) => platform::otlp_endpoint(settings)?,
            None => None,
        };
        let spans = match endpoint {
            Some(endpoint) => {
                let failed = |error| Failure::from_error(ExitCode::Failed, &error);
                let collector = Collector::new(&endpoint, SERVICE, env!("CARGO_PKG_VERSION"));
                Some(traces::provider(&collector.map_err(failed)?).map_err(failed)?)
            }
            None => None,
        };
        let log = fmt::layer()
            .with_writer(|| terminal::screen::LogWriter)
            .with_ansi(Output::new(false, false).has_colour())
            .with_filter(filter);
        registry()
            .with(spans.as_ref().map(|to| traces::layer_of_spans(to, TARGET)))
            .with(log)
            .init();
        let command = match (&spans, traced) {
            (Some(_), Some(name)) => {
                let span = tracing::info_span!(
                    "command",
                    otel.name = format!("speakr {name}"),
                    otel.kind = "client",
                    otel.status_code = Empty
                );
                if let Some(caller) = callers() {
                    traces::continue_in(&span, &caller.traceparent, caller.tracestate.as_deref());
                }
                span
            }
            _ => Span::none(),
        };
        Ok(Self { spans, command })
    }

    /// Where in which trace the command stands.
    pub(crate) fn trace(&self) -> Trace {
        Trace {
            headers: self.command.in_scope(traces::current).or_else(callers),
            told: self.spans.is_some(),
        }
    }

    /// Tells how the command ended.
    pub(crate) async fn end(self, done: &Result<(), Failure>) {
        let Self { spans, command } = self;
        let status = if done.is_ok() { "OK" } else { "ERROR" };
        command.record("otel.status_code", status);
        drop(command);
        if let Some(spans) = spans {
            last(move || spans.shutdown_with_timeout(LAST_SPAN), LAST_SPAN).await;
        }
    }
}

/// The trace that this command is part of: its own where it is told to a collector, else that of who
/// calls us, if any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    headers: Option<TraceHeaders>,
    told: bool,
}

impl Trace {
    /// What is to be told along with a request.
    pub(crate) const fn headers(&self) -> Option<&TraceHeaders> {
        self.headers.as_ref()
    }

    /// The part of the trace that makes the text of one recording. It lasts as long as the span is
    /// held.
    pub(crate) fn of_recording(
        &self,
        correlation_id: CorrelationId,
        recording_id: RecordingId,
    ) -> (Span, Option<TraceHeaders>) {
        let (Some(parent), true) = (&self.headers, self.told) else {
            return (Span::none(), self.headers.clone());
        };
        let span = tracing::info_span!(
            "recording",
            otel.kind = "producer",
            %correlation_id,
            %recording_id
        );
        traces::continue_in(&span, &parent.traceparent, parent.tracestate.as_deref());
        let headers = span.in_scope(traces::current);
        (span, headers.or_else(|| self.headers.clone()))
    }
}

/// The trace of who calls us, by the variables that W3C's headers have in environments
/// (<https://opentelemetry.io/docs/specs/otel/context/env-carriers/>).
fn callers() -> Option<TraceHeaders> {
    let variable = |name| std::env::var(name).ok();
    TraceHeaders::read(&variable("TRACEPARENT")?, variable("TRACESTATE").as_deref())
}
