//! Logs as one JSON object a line. Fields of the spans that an event happens in
//! (`correlation_id`, `recording_id`, …) stand beside its own, so that one search finds all of a
//! request.

use std::fmt;

use serde_json::{Map, Value};
use tracing::{Event, Subscriber, field::Visit};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{JsonFields, Writer},
    },
    registry::LookupSpan,
};

/// A span for the work on one request: every event inside bears both ids. Record
/// `recording_id` later where it isn't known yet.
///
/// ```
/// let span = speakr_service::request_span!("run", correlation_id = "c");
/// span.record("recording_id", "r");
/// ```
#[macro_export]
macro_rules! request_span {
    ($name:literal, correlation_id = $correlation:expr $(, $key:ident = $value:expr)* $(,)?) => {
        $crate::logs::tracing::info_span!(
            $name,
            correlation_id = %$correlation,
            recording_id = $crate::logs::tracing::field::Empty,
            $($key = %$value),*
        )
    };
}

#[doc(hidden)]
pub use tracing;

/// A layer that writes JSON lines to `writer`, of what `filter` lets through (as in `RUST_LOG`).
///
/// # Errors
/// When `filter` can't be read.
pub fn layer<S, W>(
    service: &'static str,
    filter: &str,
    writer: W,
) -> Result<impl Layer<S> + use<S, W>, tracing_subscriber::filter::ParseError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(filter)?;
    Ok(tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(JsonLine { service })
        .with_writer(writer)
        .with_filter(filter))
}

struct JsonLine {
    service: &'static str,
}

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result
    where
        JsonFields: for<'w> FormatFields<'w>,
    {
        let mut line = Map::new();
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(|s| s.from_root())
        {
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<JsonFields>>()
                && let Ok(Value::Object(fields)) = serde_json::from_str(&fields.fields)
            {
                line.extend(fields);
            }
            line.insert("span".to_owned(), span.name().into());
        }
        event.record(&mut Fields(&mut line));
        // Last, so that no field of an event can pass itself off as one of these.
        let meta = event.metadata();
        line.insert("level".to_owned(), meta.level().as_str().into());
        line.insert("target".to_owned(), meta.target().into());
        line.insert("service".to_owned(), self.service.into());
        line.insert("time".to_owned(), now().into());
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// Now, as RFC 3339 has it, to the microsecond.
fn now() -> String {
    use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
    let mut text = String::new();
    match SystemTime.format_time(&mut Writer::new(&mut text)) {
        Ok(()) => text,
        Err(_) => String::new(),
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &tracing::field::Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_error(
        &mut self,
        field: &tracing::field::Field,
        value: &(dyn std::error::Error + 'static),
    ) {
        // The whole chain: the outermost error seldom says why.
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.put(field, text.into());
    }
}

impl Fields<'_> {
    fn put(&mut self, field: &tracing::field::Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, work: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = layer("test", filter, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn every_event_of_a_request_bears_its_ids() {
        let lines = logged("info", || {
            let span = crate::request_span!("run", correlation_id = "c-1", subject = "s");
            let _in = span.enter();
            tracing::info!("before");
            span.record("recording_id", "r-1");
            let inner = tracing::info_span!("decode", piece = 3);
            let _in = inner.enter();
            tracing::warn!(took_ms = 7, "slow");
        });
        assert_eq!(lines[0]["correlation_id"], "c-1");
        assert_eq!(lines[0]["message"], "before");
        assert!(lines[0].get("recording_id").is_none());
        assert_eq!(lines[1]["correlation_id"], "c-1");
        assert_eq!(lines[1]["recording_id"], "r-1");
        assert_eq!(lines[1]["piece"], 3);
        assert_eq!(lines[1]["took_ms"], 7);
        assert_eq!(lines[1]["level"], "WARN");
        assert_eq!(lines[1]["span"], "decode");
        assert_eq!(lines[1]["service"], "test");
        assert!(lines[1]["time"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let lines = logged("info", || {
            let cause = std::io::Error::other("the disk is gone");
            let error = Outer(cause);
            tracing::error!(error = &error as &dyn std::error::Error, "failed");
        });
        assert_eq!(lines[0]["error"], "can't save: the disk is gone");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("can't save")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn what_the_filter_keeps_out_is_not_written_and_line_ends_stay_inside() {
        let lines = logged("warn", || {
            tracing::info!("quiet");
            tracing::warn!(note = "a\nb\"", level = "fake", "loud");
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["note"], "a\nb\"");
        assert_eq!(lines[0]["level"], "WARN");
    }
}
