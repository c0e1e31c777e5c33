//! What the store does with what lies in it, and with whom.

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use reqwest::Url;

use super::{
    super::{
        Context,
        check::{Seen, chain, ensure, failed, not_checked},
        settings::variable,
    },
    network::not_on_loopback,
};

/// The store's address, and its bucket.
fn bucket() -> Seen<(Option<String>, String, String)> {
    let read = |name| variable(name).map_err(failed);
    let bucket = read("S3_BUCKET")?.ok_or_else(|| not_checked("no store: S3_BUCKET"))?;
    let region = read("S3_REGION")?
        .or(read("AWS_REGION")?)
        .unwrap_or_else(|| "us-east-1".to_owned());
    Ok((read("S3_ENDPOINT")?, bucket, region))
}

pub(super) async fn encrypts(context: &Context) -> Seen {
    let (endpoint, bucket, region) = bucket()?;
    let read = |name| variable(name).map_err(failed);
    let keys = read("S3_ACCESS_KEY_ID")?.zip(read("S3_SECRET_ACCESS_KEY")?);
    let (id, secret) = keys.ok_or_else(|| {
        not_checked("no key of the store: S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY")
    })?;
    if let Some(endpoint) = &endpoint {
        let url: Url = endpoint
            .parse()
            .map_err(|error| failed(format!("S3_ENDPOINT: {error}")))?;
        if url.scheme() != "https" {
            let host = url.host_str().unwrap_or_default().to_owned();
            not_on_loopback(
                "the store",
                &host,
                url.port_or_known_default().unwrap_or(80),
            )
            .await?;
            return Err(failed("S3_ENDPOINT isn't https"));
        }
    }
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let mut config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(region))
        .force_path_style(endpoint.is_some())
        .credentials_provider(Credentials::new(id, secret, None, None, "speakr-validate"));
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint);
    }
    let client = aws_sdk_s3::Client::from_conf(config.build());
    let stored = context.stored().await?;
    let key = format!("recordings/{}/audio.wav", stored.id);
    let head = client
        .head_object()
        .bucket(&bucket)
        .key(&key)
        .send()
        .await
        .map_err(|error| failed(format!("{key}: {}", chain(&error))))?;
    let how = head.server_side_encryption();
    let how = how.ok_or_else(|| failed(format!("{key} isn't encrypted where it lies")))?;
    Ok(format!("{key} is encrypted ({})", how.as_str()))
}

pub(super) async fn strangers(context: &Context) -> Seen {
    let (endpoint, bucket, region) = bucket()?;
    let base = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let base = base.trim_end_matches('/');
    let stored = context.stored().await?;
    let mut told = Vec::new();
    for path in [
        format!("{bucket}?list-type=2"),
        format!("{bucket}/recordings/{}/audio.wav", stored.id),
        format!("{bucket}/recordings/{}/transcript.json", stored.id),
    ] {
        let answer = context
            .api
            .client
            .get(format!("{base}/{path}"))
            .send()
            .await?;
        let status = answer.status().as_u16();
        ensure(matches!(status, 401 | 403), || {
            format!("{path} is answered with {status} to who has no key")
        })?;
        told.push(status.to_string());
    }
    Ok(format!("the list, sound and text: {}", told.join(", ")))
}
