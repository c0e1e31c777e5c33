//! A collector of traces.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value,
};
use prost::Message;

/// A span that came.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its trace, in hexadecimal digits.
    pub trace: String,
    /// Its own id and that of the span that it is a part of, likewise.
    pub id: String,
    pub parent: String,
    pub service: String,
    pub name: String,
    /// All else that was told with it: attributes, events, status.
    pub told: String,
}

/// Takes spans as a collector of OTLP does, as long as the process lives, and gives each to `take`; gives its
/// address.
pub fn collect(take: impl Fn(Span) + Clone + Send + Sync + 'static) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let hear = move |body: axum::body::Bytes| {
        let take = take.clone();
        async move { spans(&body).into_iter().for_each(take) }
    };
    let router = axum::Router::new().route("/v1/traces", axum::routing::post(hear));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await
        })
    });
    address
}

fn spans(body: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut all = Vec::new();
    for of_service in request.resource_spans {
        let attributes = of_service.resource.unwrap().attributes;
        let name = attributes.into_iter().find(|a| a.key == "service.name");
        let Some(Value::StringValue(service)) = name.unwrap().value.unwrap().value else {
            panic!("a service without a name");
        };
        for span in of_service.scope_spans.into_iter().flat_map(|s| s.spans) {
            let told = format!("{:?} {:?} {:?}", span.attributes, span.events, span.status);
            all.push(Span {
                told,
                trace: digits(&span.trace_id),
                id: digits(&span.span_id),
                parent: digits(&span.parent_span_id),
                service: service.clone(),
                name: span.name,
            });
        }
    }
    all
}

fn digits(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
