//! As whom to connect. Secrets are asked for at each connection: they may have changed.

use std::{fmt, path::PathBuf, sync::Arc};

use async_nats::{Auth, AuthError, ConnectOptions};
use nkeys::KeyPair;

/// A secret as it is now.
#[derive(Clone)]
pub struct Renewed(Arc<dyn Fn() -> Result<String, String> + Send + Sync>);

impl Renewed {
    /// What `read` gives each time, or why there is none.
    pub fn new(read: impl Fn() -> Result<String, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// One that stays as it is.
    #[must_use]
    pub fn fixed(secret: impl Into<String>) -> Self {
        let secret = secret.into();
        Self::new(move || Ok(secret.clone()))
    }

    fn current(&self) -> Result<String, AuthError> {
        (self.0)().map_err(AuthError::new)
    }
}

/// As whom to connect.
#[derive(Clone, Default)]
pub enum Identity {
    /// As nobody, or as the user in the URL.
    #[default]
    Anonymous,
    /// By name and password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Renewed,
    },
    /// By the seed of an nkey.
    Nkey(Renewed),
    /// By a credentials file (JWT and seed).
    CredentialsFile(PathBuf),
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Password { user, .. } => write!(f, "Password({user})"),
            Self::Nkey(_) => f.write_str("Nkey"),
            Self::CredentialsFile(path) => write!(f, "CredentialsFile({})", path.display()),
        }
    }
}

impl Identity {
    /// The client's options, with nothing else set.
    pub(crate) fn options(&self) -> ConnectOptions {
        if matches!(self, Self::Anonymous) {
            return ConnectOptions::new();
        }
        let identity = self.clone();
        ConnectOptions::with_auth_callback(move |nonce| {
            let auth = identity.auth(&nonce);
            async move { auth }
        })
    }

    /// What the server is told, which signs its `nonce` where there is a seed.
    pub(crate) fn auth(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        let mut auth = Auth::new();
        match self {
            Self::Anonymous => {}
            Self::Password { user, password } => {
                auth.username = Some(user.clone());
                auth.password = Some(password.current()?);
            }
            Self::Nkey(seed) => {
                let keys = keys(&seed.current()?)?;
                auth.nkey = Some(keys.public_key());
                auth.signature = Some(keys.sign(nonce).map_err(AuthError::new)?);
            }
            Self::CredentialsFile(path) => {
                let wrong = |reason: &dyn fmt::Display| {
                    AuthError::new(format!("{}: {reason}", path.display()))
                };
                let text = std::fs::read_to_string(path).map_err(|e| wrong(&e))?;
                let jwt = decorated(&text, "BEGIN NATS USER JWT")
                    .ok_or_else(|| wrong(&"there is no user JWT in it"))?;
                let seed = decorated(&text, "BEGIN USER NKEY SEED")
                    .ok_or_else(|| wrong(&"there is no seed in it"))?;
                auth.jwt = Some(jwt.to_owned());
                auth.signature = Some(keys(seed)?.sign(nonce).map_err(AuthError::new)?);
            }
        }
        Ok(auth)
    }
}

fn keys(seed: &str) -> Result<KeyPair, AuthError> {
    KeyPair::from_seed(seed.trim()).map_err(|e| AuthError::new(format!("the seed is none: {e}")))
}

/// The line below the one with `heading`, between dashes, as credentials files have it.
fn decorated<'a>(text: &'a str, heading: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.find(|line| line.starts_with("---") && line.contains(heading))?;
    lines.next().filter(|line| !line.starts_with("---"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?}", Identity::Nkey(Renewed::fixed("seed-of-ada")));
        assert!(!shown.contains("seed-of"), "{shown}");
        let password = Identity::Password {
            user: "ada".to_owned(),
            password: Renewed::fixed("pass-of-ada"),
        };
        assert_eq!(format!("{password:?}"), "Password(ada)");
    }

    #[test]
    fn a_credentials_file_is_read_as_it_is_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cli.creds");
        let identity = Identity::CredentialsFile(path.clone());
        let missing = identity.auth(b"nonce").err().unwrap().to_string();
        assert!(missing.contains("cli.creds"), "{missing}");
        for end in ["\n", "\r\n"] {
            let keys = KeyPair::new_user();
            let lines = [
                "-----BEGIN NATS USER JWT-----",
                "head.claims.signature",
                "------END NATS USER JWT------",
                "",
                "-----BEGIN USER NKEY SEED-----",
                &keys.seed().unwrap(),
                "------END USER NKEY SEED------",
            ];
            std::fs::write(&path, lines.join(end)).unwrap();
            let auth = identity.auth(b"nonce").unwrap();
            assert_eq!(auth.jwt.as_deref(), Some("head.claims.signature"));
            keys.verify(b"nonce", &auth.signature.unwrap()).unwrap();
        }
        std::fs::write(&path, "-----BEGIN NATS USER JWT-----\n------END-----\n").unwrap();
        assert!(identity.auth(b"nonce").is_err());
    }
}
