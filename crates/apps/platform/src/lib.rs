//! What the composition roots of the services share: settings of the bus, the store of record, the
//! database and the embedder, and how these parts are made from them. Each service takes the
//! parts that it is made of, by feature, and links no other.

#[cfg(feature = "bus")]
pub mod bus;
#[cfg(feature = "database")]
pub mod database;
#[cfg(feature = "embedder")]
pub mod embedder;
mod failure;
#[cfg(feature = "openai")]
pub mod openai;
#[cfg(feature = "scratch")]
pub mod scratch;
#[cfg(feature = "store")]
pub mod store;
#[cfg(feature = "bus")]
pub mod trace;
#[cfg(any(feature = "bus", feature = "database", feature = "embedder"))]
mod waiting;

pub use failure::{Failure, exit_code};
