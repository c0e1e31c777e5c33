//! The collector that traces and metrics are sent to: OTLP over HTTP, in protobuf.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;

/// How long one delivery may take.
const TIMEOUT: Duration = Duration::from_secs(10);

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

    /// `exporter`, sending to this collector, under `path`, as in `/v1/traces`.
    pub(crate) fn aim<E: WithExportConfig + WithHttpConfig>(&self, exporter: E, path: &str) -> E {
        exporter
            .with_http_client(self.client.clone())
            .with_endpoint(self.address(path))
            .with_timeout(TIMEOUT)
    }

    /// Why there is no exporter that sends under `path`.
    pub(crate) fn no_exporter(
        &self,
        path: &str,
        why: impl std::error::Error + Send + Sync + 'static,
    ) -> OtlpError {
        OtlpError::Exporter {
            endpoint: self.address(path),
            source: Box::new(why),
        }
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint)
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
struct Client {
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
