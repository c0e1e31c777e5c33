//! The store of record on S3, or on a store that speaks like it.
//!
//! [`S3Archive`] keeps each recording under a prefix of its own:
//!
//! ```text
//! recordings/<uuid>/recording.json        its description
//!                   sound/<sample>.pcm    sound as it came, named by its first sample
//!                   audio.wav             sound for good
//!                   transcript.json       its text
//! tombstones/<uuid>                       it was deleted
//! condemned/<uuid>                        it is to go, and something of it may be left
//! condemned/half/<uuid>                   it is an upload that may not be stored whole
//! ```

mod archive;
mod authorities;
mod condemned;
mod config;
mod fault;
mod file;
mod probe;
mod sound;
mod store;
mod wav;

pub use archive::S3Archive;
pub use authorities::Authorities;
pub use config::{Credentials, Encryption, S3Config, SecretKey};
pub use fault::S3Error;
