//! One file over HTTP: resumed where it broke off, tried again where that can help.

use std::{
    fs, io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, RANGE, RETRY_AFTER},
    redirect,
};
use serde::{Deserialize, Serialize};
use tokio::{fs::File, io::AsyncWriteExt, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    error::ModelError,
    pull::{PullProgress, RetryPolicy},
    store::is_absence,
};

/// Why one file didn't come.
#[derive(Debug)]
pub(crate) enum TransferError {
    /// The server said no, and asking again won't help.
    Refused(StatusCode),
    /// What the server has is not the file.
    WrongFile(String),
    /// Too many failures in a row.
    Failed { attempts: u32, reason: String },
    /// The disk is full.
    DiskFull,
    /// The disk failed.
    Io(io::Error),
    /// The caller cancelled.
    Cancelled,
}

/// What to fetch, and whereto.
pub(crate) struct Transfer<'a> {
    pub(crate) client: &'a Client,
    pub(crate) url: &'a str,
    /// Where it grows.
    pub(crate) part: &'a Path,
    /// Where the server's name for this version is kept, for the next time.
    pub(crate) note: &'a Path,
    pub(crate) size_bytes: u64,
    pub(crate) retry: &'a RetryPolicy,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) progress: &'a (dyn Fn(PullProgress) + Send + Sync),
    /// Bytes of this file that are on disk, for the progress.
    pub(crate) received: &'a AtomicU64,
}

/// What is known of a part.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    /// The server's name for the version that the part belongs to.
    etag: Option<String>,
}

/// How one attempt ended short of success.
enum Attempt {
    /// Try again, after this time if the server asked for it.
    Again {
        reason: String,
        after: Option<Duration>,
    },
    Give(TransferError),
}

impl From<io::Error> for Attempt {
    fn from(error: io::Error) -> Self {
        Self::Give(disk_error(error))
    }
}

fn disk_error(error: io::Error) -> TransferError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => TransferError::DiskFull,
        _ => TransferError::Io(error),
    }
}

impl Transfer<'_> {
    /// Fetches the file until its whole length is in `part`. What comes is kept whatever happens,
    /// also when this future is dropped.
    pub(crate) async fn run(&self) -> Result<(), TransferError> {
        let mut failures = 0;
        loop {
            let before = length(self.part).map_err(disk_error)?;
            let (reason, after) = match self.attempt(before).await {
                Ok(()) => return Ok(()),
                Err(Attempt::Give(error)) => return Err(error),
                Err(Attempt::Again { reason, after }) => (reason, after),
            };
            // An attempt that brought something counts as none.
            let brought = length(self.part).map_err(disk_error)? > before;
            failures = if brought { 1 } else { failures + 1 };
            if failures >= self.retry.attempts {
                return Err(TransferError::Failed {
                    attempts: failures,
                    reason,
                });
            }
            let delay = after.unwrap_or_else(|| self.retry.delay(failures));
            tracing::debug!(
                url = self.url,
                reason,
                ?delay,
                "the download is tried again"
            );
            (self.progress)(PullProgress::Retrying { reason, delay });
            tokio::select! {
                () = self.cancel.cancelled() => return Err(TransferError::Cancelled),
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    async fn attempt(&self, mut have: u64) -> Result<(), Attempt> {
        if have > self.size_bytes {
            truncate(self.part)?;
            have = 0;
        }
        if have == self.size_bytes && have > 0 {
            self.report(have);
            return Ok(());
        }
        let response = self.ask(have).await?;
        let status = response.status();
        let have = match status {
            StatusCode::PARTIAL_CONTENT if have > 0 => {
                let (start, total) = content_range(response.headers())
                    .ok_or_else(|| again("the server sent a part without saying which"))?;
                self.check_length(total)?;
                if start != have {
                    truncate(self.part)?;
                    return Err(again("the server sent another part than was asked for"));
                }
                have
            }
            // Nothing asked for a part, or the server has another version now, or knows no parts.
            StatusCode::OK => {
                self.check_length(response.content_length())?;
                truncate(self.part)?;
                0
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                truncate(self.part)?;
                return Err(again(
                    "the server couldn't go on where the download broke off",
                ));
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                return Err(busy(status, response.headers(), self.retry));
            }
            status if status.is_server_error() => {
                return Err(busy(status, response.headers(), self.retry));
            }
            status => return Err(Attempt::Give(TransferError::Refused(status))),
        };
        self.keep_note(response.headers());
        self.receive(response, have).await
    }

    async fn ask(&self, have: u64) -> Result<Response, Attempt> {
        // No compression: lengths and parts are those of the file.
        let mut request = self
            .client
            .get(self.url)
            .header(ACCEPT_ENCODING, "identity");
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(etag) = self.read_note().etag {
                request = request.header(IF_RANGE, etag);
            }
        }
        tokio::select! {
            () = self.cancel.cancelled() => Err(Attempt::Give(TransferError::Cancelled)),
            answer = timeout(self.retry.stall, request.send()) => match answer {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(error)) if error.is_redirect() => {
                    Err(Attempt::Give(TransferError::WrongFile(causes(&error))))
                }
                Ok(Err(error)) => Err(again(causes(&error))),
                Err(_) => Err(again(format!("no answer for {} s", self.retry.stall.as_secs_f32()))),
            }
        }
    }

    async fn receive(&self, mut response: Response, mut have: u64) -> Result<(), Attempt> {
        let mut part = File::options()
            .create(true)
            .append(true)
            .open(self.part)
            .await?;
        self.report(have);
        let outcome = loop {
            let chunk = tokio::select! {
                () = self.cancel.cancelled() => break Err(Attempt::Give(TransferError::Cancelled)),
                chunk = timeout(self.retry.stall, response.chunk()) => chunk,
            };
            match chunk {
                Ok(Ok(Some(bytes))) => {
                    if have + bytes.len() as u64 > self.size_bytes {
                        break Err(Attempt::Give(TransferError::WrongFile(format!(
                            "it goes on after {} bytes",
                            self.size_bytes
                        ))));
                    }
                    if let Err(error) = part.write_all(&bytes).await {
                        break Err(error.into());
                    }
                    have += bytes.len() as u64;
                    self.report(have);
                }
                Ok(Ok(None)) if have == self.size_bytes => break Ok(()),
                Ok(Ok(None)) => {
                    break Err(again(format!(
                        "it ended after {have} of {} bytes",
                        self.size_bytes
                    )));
                }
                Ok(Err(error)) => break Err(again(causes(&error))),
                Err(_) => {
                    break Err(again(format!(
                        "nothing came for {} s",
                        self.retry.stall.as_secs_f32()
                    )));
                }
            }
        };
        // What has come stays, however it ended; a full disk often shows only now.
        part.flush().await?;
        if outcome.is_ok() {
            part.sync_all().await?;
        }
        outcome
    }

    fn report(&self, received: u64) {
        self.received.store(received, Ordering::Relaxed);
        (self.progress)(PullProgress::Received {
            received_bytes: received,
        });
    }

    fn check_length(&self, length: Option<u64>) -> Result<(), Attempt> {
        match length {
            Some(length) if length != self.size_bytes => Err(Attempt::Give(
                TransferError::WrongFile(format!("it has {length} bytes, not {}", self.size_bytes)),
            )),
            _ => Ok(()),
        }
    }

    fn read_note(&self) -> Note {
        fs::read(self.note)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    /// Keeps the version's name. Without it the digest still tells a file that was sewn together
    /// from two versions; so a failure here is no failure of the download.
    fn keep_note(&self, headers: &HeaderMap) {
        // Weak names (W/"…") don't promise equal bytes (RFC 9110, 8.8.3).
        let etag = headers
            .get(ETAG)
            .and_then(|etag| etag.to_str().ok())
            .filter(|etag| etag.starts_with('"'))
            .map(str::to_owned);
        let kept = serde_json::to_vec(&Note { etag })
            .map_err(io::Error::from)
            .and_then(|bytes| fs::write(self.note, bytes));
        if let Err(error) = kept {
            tracing::debug!(%error, note = %self.note.display(), "the version isn't kept");
        }
    }
}

fn length(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if is_absence(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

fn truncate(path: &Path) -> io::Result<()> {
    match fs::OpenOptions::new().write(true).truncate(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if is_absence(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

fn again(reason: impl Into<String>) -> Attempt {
    Attempt::Again {
        reason: reason.into(),
        after: None,
    }
}

fn busy(status: StatusCode, headers: &HeaderMap, retry: &RetryPolicy) -> Attempt {
    let after = headers
        .get(RETRY_AFTER)
        .and_then(|seconds| seconds.to_str().ok()?.trim().parse().ok())
        .map(|seconds| Duration::from_secs(seconds).min(retry.longest_delay));
    Attempt::Again {
        reason: format!("the server answered {status}"),
        after,
    }
}

/// `bytes 5-9/10` as (5, 10).
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers
        .get(CONTENT_RANGE)?
        .to_str()
        .ok()?
        .strip_prefix("bytes ")?;
    let (range, total) = text.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// An error with all its causes: reqwest's own text leaves out what went wrong.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        // Several layers repeat the text of the next.
        let layer = error.to_string();
        if !text.contains(&layer) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&layer);
        }
        cause = error.source();
    }
    if text.is_empty() {
        error.to_string()
    } else {
        text
    }
}

/// A client that trusts the system's certificates (Mozilla's where it has none) and takes its
/// proxies from the system or `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
pub(crate) fn client(retry: &RetryPolicy) -> Result<Client, ModelError> {
    // Someone else may have chosen a provider for this process; then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        Client::builder()
            .user_agent(concat!("speakr/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(retry.stall)
            .redirect(redirect::Policy::custom(follow))
    };
    builder()
        .build()
        .or_else(|error| {
            tracing::debug!(%error, "no certificates of the system; Mozilla's are used");
            let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS
                .iter()
                .map(|root| reqwest::Certificate::from_der(root))
                .collect::<Result<Vec<_>, _>>()?;
            builder().tls_certs_only(roots).build()
        })
        .map_err(|error| ModelError::Setup(causes(&error)))
}

/// Hubs send downloads on to other servers; never from a secure address to an open one.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    if attempt.previous().len() > 10 {
        return attempt.error("more than 10 redirects");
    }
    let was_secure = attempt
        .previous()
        .last()
        .is_some_and(|url| url.scheme() == "https");
    if was_secure && attempt.url().scheme() != "https" {
        return attempt.error("a redirect from a secure address to an open one");
    }
    attempt.follow()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: reqwest::header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn the_range_of_a_part_is_read_with_and_without_its_total() {
        assert_eq!(
            content_range(&header(CONTENT_RANGE, "bytes 5-9/10")),
            Some((5, Some(10)))
        );
        assert_eq!(
            content_range(&header(CONTENT_RANGE, "bytes 5-9/*")),
            Some((5, None))
        );
        for odd in ["bytes */10", "lines 5-9/10", "bytes 5", ""] {
            assert_eq!(content_range(&header(CONTENT_RANGE, odd)), None, "{odd}");
        }
    }

    #[test]
    fn a_server_that_asks_for_a_day_gets_the_longest_delay() {
        let retry = RetryPolicy::default();
        let asked = busy(
            StatusCode::SERVICE_UNAVAILABLE,
            &header(RETRY_AFTER, "86400"),
            &retry,
        );
        let Attempt::Again { after, .. } = asked else {
            panic!("gave up")
        };
        assert_eq!(after, Some(retry.longest_delay));
    }
}
