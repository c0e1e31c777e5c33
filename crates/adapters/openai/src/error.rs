//! Why the API gave no answer that is of use.

use std::time::Duration;

/// Why a request to the API failed.
#[derive(Debug, thiserror::Error)]
pub enum OpenAiError {
    /// The client can't be set up.
    #[error("the client of {server} can't be set up: {reason}")]
    Setup {
        /// Which server.
        server: String,
        /// Why.
        reason: String,
    },
    /// There is no key to send.
    #[error("the key for {server} can't be had: {reason}")]
    NoKey {
        /// Which server.
        server: String,
        /// Why.
        reason: String,
    },
    /// The key isn't taken (401, 403).
    #[error("{server} doesn't take the key (status {status}): {reason}; OPENAI_API_KEY holds it")]
    Unauthorised {
        /// Which server.
        server: String,
        /// The status.
        status: u16,
        /// What it said.
        reason: String,
    },
    /// Too much was asked (429), also after waiting as it asked.
    #[error("{server} has had too many requests: {reason}")]
    TooMany {
        /// Which server.
        server: String,
        /// What it said.
        reason: String,
        /// When to ask again, where it said so.
        retry_after: Option<Duration>,
    },
    /// The request isn't taken (other 4xx).
    #[error("{server} refuses this (status {status}): {reason}")]
    Refused {
        /// Which server.
        server: String,
        /// The status.
        status: u16,
        /// What it said.
        reason: String,
    },
    /// It failed (5xx), also when asked again.
    #[error("{server} failed (status {status}): {reason}")]
    Server {
        /// Which server.
        server: String,
        /// The status.
        status: u16,
        /// What it said.
        reason: String,
    },
    /// No answer came in time.
    #[error("{server} gave no answer within {} s", after.as_secs_f32())]
    TimedOut {
        /// Which server.
        server: String,
        /// How long was waited.
        after: Duration,
    },
    /// It can't be reached, or the connection broke.
    #[error("{server} can't be reached: {reason}")]
    Unreachable {
        /// Which server.
        server: String,
        /// Why.
        reason: String,
    },
    /// Its answer isn't what the API promises.
    #[error("the answer of {server} isn't what was asked for: {reason}")]
    Malformed {
        /// Which server.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl OpenAiError {
    /// Whether asking again may help.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::TooMany { .. } | Self::Server { .. } | Self::Unreachable { .. }
        )
    }

    /// Whether it surely has nothing to do with what was sent. (A server may also stumble over that, or
    /// take for ever.)
    pub(crate) const fn is_away(&self) -> bool {
        matches!(
            self,
            Self::TooMany { .. }
                | Self::Unreachable { .. }
                | Self::Unauthorised { .. }
                | Self::NoKey { .. }
                | Self::Server {
                    status: 502..=504 | 529,
                    ..
                }
        )
    }

    /// Whether it says nothing against what was sent: the same may be served later, or with another
    /// key.
    pub(crate) const fn is_the_servers(&self) -> bool {
        self.is_passing()
            || matches!(
                self,
                Self::TimedOut { .. } | Self::Unauthorised { .. } | Self::NoKey { .. }
            )
    }

    /// When to ask again, where the server said so.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
