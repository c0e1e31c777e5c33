//! The connection of a person who looks after the bus.

use speakr_nats::Bus;
use speakr_platform::{Failure, bus};
use speakr_service::{ServiceError, config::Config};

use crate::NAME;

/// The user of the shipped config of the bus that may do what operators do.
const OPERATOR: &str = "operator";

/// Connects as the bus's user that the environment names, or the operator.
pub(crate) async fn connect() -> Result<Bus, Failure> {
    let config = Config::from_env(&[bus::SETTINGS]).map_err(ServiceError::from)?;
    let mut to = bus::config(&config, NAME, OPERATOR)?;
    // Somebody waits for the answer.
    to.start_without_server = false;
    Bus::connect(&to).await.map_err(Failure::part)
}
