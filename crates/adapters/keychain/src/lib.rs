//! The system's own place for secrets: Keychain on macOS, the Credential Manager on Windows, and the
//! Secret Service elsewhere (GNOME Keyring, KWallet, KeePassXC; over D-Bus).
//!
//! One secret is kept a server: the token of its query API. A locked keychain asks its owner, so a call
//! may take as long as a person does.

use std::thread;

use keyring::{Entry, Error};
use url::Url;

/// What the system shows as the owner of our secrets.
const SERVICE: &str = "speakr";

/// Why the keychain didn't do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum KeychainError {
    /// There is no keychain on this system, or it isn't running.
    #[error("there is no keychain here that answers")]
    Absent(#[source] Error),
    /// The keychain refused, or failed.
    #[error("the keychain can't {action} the token of {server}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// Whose token.
        server: String,
        /// What the keychain said.
        #[source]
        cause: Error,
    },
}

/// The token of `server`, where the keychain has one.
///
/// # Errors
/// [`KeychainError`].
pub fn token(server: &Url) -> Result<Option<String>, KeychainError> {
    match with_entry("read", server, |entry| entry.get_password()) {
        Ok(token) => Ok(Some(token)),
        Err(KeychainError::Failed {
            cause: Error::NoEntry,
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keeps `token` for `server`, in place of the one that was there.
///
/// # Errors
/// [`KeychainError`].
pub fn keep(server: &Url, token: &str) -> Result<(), KeychainError> {
    with_entry("keep", server, |entry| entry.set_password(token))
}

/// Forgets the token of `server`; `false` where there was none.
///
/// # Errors
/// [`KeychainError`].
pub fn forget(server: &Url) -> Result<bool, KeychainError> {
    match with_entry("forget", server, |entry| entry.delete_credential()) {
        Ok(()) => Ok(true),
        Err(KeychainError::Failed {
            cause: Error::NoEntry,
            ..
        }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What the secret is kept under: scheme, host and port. A path or a user doesn't make another server.
fn name(server: &Url) -> String {
    server.origin().ascii_serialization()
}

/// Does `work` on a thread of its own: it blocks, and a caller may be within a runtime that doesn't
/// like that.
fn with_entry<T: Send>(
    action: &'static str,
    server: &Url,
    work: impl FnOnce(&Entry) -> Result<T, Error> + Send,
) -> Result<T, KeychainError> {
    let server = name(server);
    thread::scope(|scope| {
        let call = scope.spawn(|| {
            let entry = Entry::new(SERVICE, &server)?;
            work(&entry)
        });
        match call.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
    .map_err(|cause| match cause {
        Error::NoDefaultStore | Error::NoStorageAccess(_) => KeychainError::Absent(cause),
        cause => KeychainError::Failed {
            action,
            server,
            cause,
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    #[test]
    fn a_server_is_known_by_scheme_host_and_port() {
        let name_of = |url: &str| name(&Url::parse(url).unwrap());
        assert_eq!(name_of("https://speakr.example"), "https://speakr.example");
        assert_eq!(
            name_of("https://me@speakr.example:443/x"),
            "https://speakr.example"
        );
        assert_eq!(name_of("http://[::1]:8080/"), "http://[::1]:8080");
    }
}
