//! What went wrong with an input, as core has it.

use std::io;

use speakr_core::ports::sound::SoundError;

use crate::{complaint::Complaint, formats};

/// An input that can't be read to its end.
pub(crate) fn broken(input: &str, cause: io::Error) -> SoundError {
    SoundError::Broken {
        input: input.to_owned(),
        cause: Box::new(cause),
    }
}

/// The sentence for a file with streams of which none is sound.
pub(crate) struct NotSound(&'static str);

pub(crate) const NO_SOUND_STREAM: NotSound = NotSound("it has no sound track");

impl NotSound {
    pub(crate) fn on(&self, input: &str) -> SoundError {
        SoundError::NotSound {
            input: input.to_owned(),
            reason: self.0.to_owned(),
        }
    }
}

/// The error for an input that gave no sound at all.
pub(crate) fn explain(input: &str, complaint: &Complaint) -> SoundError {
    let not_sound = |reason: String| SoundError::NotSound {
        input: input.to_owned(),
        reason,
    };
    match complaint {
        Complaint::FormatRefused(demuxer) => {
            let demuxer = demuxer.as_deref().unwrap_or("unknown");
            match formats::reference_format(demuxer) {
                Some(what) => SoundError::Refused {
                    input: input.to_owned(),
                    reason: format!("it is {what}, which could make speakr open other files"),
                },
                None => not_sound(format!(
                    "it is of the format \"{demuxer}\", which holds no speech"
                )),
            }
        }
        Complaint::NoSoundStream => NO_SOUND_STREAM.on(input),
        Complaint::Said(words) => not_sound(words.clone()),
        Complaint::Nothing => not_sound("no samples came out of it".into()),
        other => broken(input, failure(other)),
    }
}

/// The error for an input that broke off after it gave sound.
pub(crate) fn failure(complaint: &Complaint) -> io::Error {
    match complaint {
        Complaint::Full => io::ErrorKind::StorageFull.into(),
        Complaint::Memory => io::Error::new(
            io::ErrorKind::OutOfMemory,
            "decoding it takes more memory than is allowed",
        ),
        Complaint::CpuTime => io::Error::new(
            io::ErrorKind::TimedOut,
            "decoding it takes more computing time than is allowed",
        ),
        Complaint::Stopped => io::Error::new(
            io::ErrorKind::TimedOut,
            "decoding it takes more computing time than is allowed, or somebody ended ffmpeg",
        ),
        Complaint::Killed(signal) => {
            io::Error::other(format!("ffmpeg was ended from outside (signal {signal})"))
        }
        Complaint::Said(words) => io::Error::other(words.clone()),
        other => io::Error::other(format!("ffmpeg failed ({other:?})")),
    }
}
