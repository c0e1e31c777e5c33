//! What the store does with what lies in it, and with whom.

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::{
    Client,
    config::{Credentials, ProvideCredentials, SharedCredentialsProvider},
};
use reqwest::Url;

use super::{
    super::{
        Context,
        check::{Seen, chain, ensure, failed, not_checked},
        settings::variable,
    },
    network::{CONNECT, not_on_loopback},
};

/// The store's address, its bucket, and its region.
fn bucket() -> Seen<(Option<String>, String, String)> {
    let read = |name| variable(name).map_err(failed);
    let bucket = read("S3_BUCKET")?.ok_or_else(|| not_checked("no store: S3_BUCKET"))?;
    let region = read("S3_REGION")?
        .or(read("AWS_REGION")?)
        .unwrap_or_else(|| "us-east-1".to_owned());
    Ok((read("S3_ENDPOINT")?, bucket, region))
}

/// The keys that were given, lasting ones or ones for a while; none where AWS's own ways have to find them.
fn keys(
    read: impl Fn(&'static str) -> Result<Option<String>, String>,
) -> Seen<Option<Credentials>> {
    let Some(id) = read("S3_ACCESS_KEY_ID").map_err(failed)? else {
        return Ok(None);
    };
    let secret = read("S3_SECRET_ACCESS_KEY").map_err(failed)?;
    let secret = secret.ok_or_else(|| {
        not_checked("S3_ACCESS_KEY_ID is set, and S3_SECRET_ACCESS_KEY isn't, nor its file")
    })?;
    let session = read("S3_SESSION_TOKEN").map_err(failed)?;
    Ok(Some(Credentials::new(
        id,
        secret,
        session,
        None,
        "speakr-validate",
    )))
}

/// What asks the store, and as whom: with the keys that were given, else as AWS's own ways say (variables, a
/// profile, a web identity, a pod's or a machine's role), which is how the services do it.
async fn client(endpoint: Option<String>, region: String) -> Seen<Client> {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(Region::new(region));
    if let Some(keys) = keys(variable)? {
        loader = loader.credentials_provider(keys);
    }
    let shared = loader.load().await;
    known(shared.credentials_provider()).await?;
    let mut config =
        aws_sdk_s3::config::Builder::from(&shared).force_path_style(endpoint.is_some());
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint);
    }
    Ok(Client::from_conf(config.build()))
}

/// Who can't say who he is hasn't been refused anything.
async fn known(provider: Option<SharedCredentialsProvider>) -> Seen<()> {
    let without = "no key of the store: S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, with \
                   S3_SESSION_TOKEN where they are for a while, or one of AWS's own ways";
    let provider = provider.ok_or_else(|| not_checked(without))?;
    // A machine that isn't AWS's has nobody who would answer.
    match tokio::time::timeout(CONNECT, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(not_checked(format!("{without} ({})", chain(&error)))),
        Err(_) => Err(not_checked(without)),
    }
}

pub(super) async fn encrypts(context: &Context) -> Seen {
    let (endpoint, bucket, region) = bucket()?;
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
    let client = client(endpoint, region).await?;
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

#[cfg(test)]
mod tests {
    use super::{super::super::check::Unseen, *};

    #[test]
    fn keys_for_a_while_bring_their_token_and_half_a_key_is_none() {
        let given = |known: &'static [(&'static str, &'static str)]| {
            keys(|name| {
                let found = known.iter().find(|(known, _)| *known == name);
                Ok(found.map(|(_, value)| (*value).to_owned()))
            })
        };
        assert!(matches!(given(&[]), Ok(None)));
        let lasting = given(&[("S3_ACCESS_KEY_ID", "id"), ("S3_SECRET_ACCESS_KEY", "x")]);
        assert_eq!(lasting.unwrap().unwrap().session_token(), None);
        let passing = given(&[
            ("S3_ACCESS_KEY_ID", "id"),
            ("S3_SECRET_ACCESS_KEY", "secret"),
            ("S3_SESSION_TOKEN", "session"),
        ]);
        let passing = passing.unwrap().unwrap();
        assert_eq!(passing.secret_access_key(), "secret");
        assert_eq!(passing.session_token(), Some("session"));
        let half = given(&[("S3_ACCESS_KEY_ID", "id")]);
        assert!(matches!(half, Err(Unseen::NotChecked(_))));
    }
}
