//! Why a service didn't start, or didn't end well.

use std::process::ExitCode;

use speakr_service::{
    ServiceError,
    config::{SecretError, SettingError},
};

/// Why a service didn't start, or didn't end well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Its settings, its telemetry, its end.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// One of its parts.
    #[error(transparent)]
    Part(Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    /// The failure of a part.
    pub fn part<E: Into<Box<dyn std::error::Error + Send + Sync>>>(error: E) -> Self {
        Self::Part(error.into())
    }
}

impl From<SettingError> for Failure {
    fn from(error: SettingError) -> Self {
        Self::Service(error.into())
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Self::Service(SettingError::from(error).into())
    }
}

/// What `main` gives back: 0; 2 after wrong settings; 1 after anything else. The failure is told
/// on standard error with its causes.
#[must_use]
pub fn exit_code(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Service(error)) => speakr_service::exit_code(&Err(error)),
        Err(Failure::Part(error)) => {
            speakr_service::tell(error.as_ref());
            ExitCode::FAILURE
        }
    }
}
