//! Why the API didn't do what was asked.

use speakr_core::ports::BoxedCause;

/// Why the API didn't do what was asked. No variant holds a token.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// There can be no client as it is configured.
    #[error("no client for {server}: {reason}")]
    Setup {
        /// Which server.
        server: String,
        /// Why not.
        reason: String,
    },
    /// It can't be reached, or its answer broke off.
    #[error("can't reach {server}")]
    Unreachable {
        /// Which server.
        server: String,
        /// Why.
        #[source]
        cause: BoxedCause,
    },
    /// The token is missing, unknown or expired, or isn't enough for this.
    #[error("{server} doesn't take the token: {detail}")]
    Unauthorised {
        /// Which server.
        server: String,
        /// What it said.
        detail: String,
    },
    /// There is no such recording, or it was deleted.
    #[error("{detail}")]
    NotFound {
        /// What the server said.
        detail: String,
    },
    /// The recording has no text yet.
    #[error("{detail}")]
    NotReady {
        /// What the server said.
        detail: String,
    },
    /// The request can't be served as it is.
    #[error("{detail}")]
    Refused {
        /// What the server said.
        detail: String,
    },
    /// The server failed, or has too much to do.
    #[error("{server} answers {status}: {detail}")]
    Failed {
        /// Which server.
        server: String,
        /// The status.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// What came isn't what the API answers.
    #[error("{server} answers what isn't the API's: {reason}")]
    Malformed {
        /// Which server.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What came can't be written.
    #[error("can't write {place}")]
    Write {
        /// Where to.
        place: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}
