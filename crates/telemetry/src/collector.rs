//! The collector that traces and metrics are sent to: OTLP over HTTP, in protobuf.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_sdk::Resource;

/// How long one delivery may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// Why telemetry can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The client of the collector can't be set up.
    #[error("the client of the telemetry collector can't be set up")]
    Client(#[source] reqwest::Error),
    /// The exporter can't be set up.
    #[error("telemetry can't be sent to {endpoint}")]
    Exporter {
        /// Where to.
        endpoint: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Where telemetry goes, and whose it is.
#[derive(Debug, Clone)]
pub struct Collector {
    endpoint: String,
    service: &'static str,
    version: &'static str,
    client: Client,
}

impl Collector {
    /// The collector at `endpoint`, which is told of `service` in this version. Call it within the
    /// program's runtime: requests run there.
    ///
    /// # Errors
    /// [`OtlpError::Client`].
    pub fn new(
        endpoint: &url::Url,
        service: &'static str,
        version: &'static str,
    ) -> Result<Self, OtlpError> {
        // Someone else may have chosen a provider for this process; then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .build()
            .map_err(OtlpError::Client)?;
        Ok(Self {
            endpoint: endpoint.as_str().trim_end_matches('/').to_owned(),
            service,
            version,
            client: Client {
                http,
                runtime: tokio::runtime::Handle::current(),
            },
        })
    }

    /// Its address for one kind of telemetry, as in `/v1/traces`.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint)
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Who tells.
    pub(crate) fn resource(&self) -> Resource {
        Resource::builder()
            .with_service_name(self.service)
            .with_attribute(KeyValue::new("service.version", self.version))
            .build()
    }
}

/// Exporters work on threads without a runtime: requests run on the program's own.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    runtime: tokio::runtime::Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let http = self.http.clone();
        let work = self.runtime.spawn(async move {
            let response = http.execute(request).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut answer = Response::new(response.bytes().await?);
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok::<_, reqwest::Error>(answer)
        });
        Ok(work.await??)
    }
}
