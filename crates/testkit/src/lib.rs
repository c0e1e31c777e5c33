//! Starts the real servers that the platform stands on, each on a free port of the loopback
//! device, in a scratch folder, as a child process that ends with its handle.
//!
//! Nothing here is a mock: tests, benches and `make up` use what production uses.

pub mod certificates;
pub mod nats;
pub mod platform;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod s3;
pub mod service;
