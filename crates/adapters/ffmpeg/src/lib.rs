//! Sound in and out through ffmpeg: capture, decode, encode.
//!
//! ffmpeg runs as a child process and hands over raw samples through a pipe. It is bounded in
//! what it may open, in memory and in time, never outlives speakr, and what it complains about
//! becomes a typed error with its mend.

mod complaint;
mod decoder;
mod devices;
mod encoder;
mod explain;
mod file_microphone;
mod formats;
mod microphone;
mod process;
mod program;
mod report;
mod sandbox;

pub use decoder::{DecodeLimits, FfmpegDecoder};
pub use encoder::FlacEncoder;
pub use microphone::FfmpegMicrophone;
pub use program::{FFMPEG_VARIABLE, Ffmpeg};
pub use speakr_programs::{install_line, on_path};
