//! What goes over the wire between speakr's programs: commands, events, subjects and headers.
//!
//! The crate depends on nothing of ours, so that a client can take the contract without the core,
//! and the core never depends on it, so that the domain isn't shaped by a wire format. Adapters of
//! buses translate between the two.
//!
//! Every message is JSON. Receivers ignore fields that they don't know; a field that is missing or
//! of the wrong kind is refused with its path ([`decode`]). The JSON Schemas under `schemas/`,
//! `docs/CONTRACT.md` and `docs/asyncapi.yaml` are made from the types here ([`catalogue`],
//! [`document`]); tests hold them together. A schema that was released only grows ([`growth`]).

pub mod audio;
pub mod catalogue;
pub mod commands;
pub mod control;
pub mod document;
pub mod events;
pub mod growth;
pub mod headers;
pub mod ids;
mod message;
mod parts;
pub mod subjects;
mod yaml;

pub use message::{Kind, Message, Refused, decode, encode};
pub use parts::{
    AudioData, CaptureSide, DecodeOptions, Metadata, OutputFormat, Segment, Task, Word,
};
