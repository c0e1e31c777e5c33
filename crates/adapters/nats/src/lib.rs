//! The bus: NATS JetStream.
//!
//! [`Bus`] is one connection, which is made again for ever. [`streams`] are where messages lie,
//! [`Queue`] hands them out one by one and knows what to do with those that can't be worked on,
//! [`audio`] carries sound while it is spoken, [`intents`] say what is wanted of a recording,
//! [`control`] reaches the replica that holds a recording, [`BusAnnouncer`] tells events,
//! [`Caller`] is the client of one recording,
//! [`dead_letters`] shows and sends again what was put aside, and [`StreamCopies`] takes deleted
//! recordings out of the streams.

mod announce;
mod attempts;
pub mod audio;
pub mod backup;
mod bus;
mod caller;
mod config;
pub mod control;
pub mod dead_letters;
mod error;
mod forgetting;
mod identity;
pub mod intents;
mod patience;
mod queue;
mod request;
mod sent;
pub mod streams;
mod wording;

pub use announce::BusAnnouncer;
pub use bus::Bus;
pub use caller::{Caller, Told};
pub use config::{BusConfig, TlsFiles};
pub use error::BusError;
pub use forgetting::StreamCopies;
pub use identity::{Identity, Renewed};
pub use patience::{OUTAGE_PATIENCE, retry_pause};
pub use queue::{Delivery, InProgress, Queue, QueueConfig, Taken};
pub use request::Request;
pub use sent::Sent;
pub use wording::{transcript, wire_options};
