//! The settings of one decode.

#![allow(unsafe_code)]

use std::{
    ffi::{c_int, c_void},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use whisper_rs::{FullParams, SamplingStrategy, whisper_rs_sys as sys};

/// Whisper's name of English.
const ENGLISH: &str = "en";
/// Encoder positions in a second of sound.
const POSITIONS_PER_SECOND: f32 = 50.0;
/// Positions beyond the sound that the window keeps.
const MARGIN: i32 = 64;
/// With a smaller window than this the model begins to invent words.
const SMALLEST_WINDOW: i32 = 384;
/// In other languages than English it is less sure of itself, and wants more (measured with base
/// q5_1: German, French, Italian and Portuguese lose 9 of 41 words with the smaller window, one
/// beam and little sound around the speech, and none with these and more sound around it).
const SMALLEST_FOREIGN_WINDOW: i32 = 768;
/// Readings that are followed at once in such a language.
const FOREIGN_BEAMS: c_int = 2;
/// The window the model was trained with.
const FULL_WINDOW: i32 = 1_500;
/// Windows are multiples of this.
const WINDOW_STEP: i32 = 64;

/// The encoder window for `seconds` of sound: as small as is safe, because the encoder's cost
/// grows with it.
pub(crate) fn audio_ctx(seconds: f32, english: bool) -> i32 {
    let smallest = if english {
        SMALLEST_WINDOW
    } else {
        SMALLEST_FOREIGN_WINDOW
    };
    let wanted = (seconds * POSITIONS_PER_SECOND).ceil() as i32 + MARGIN;
    let stepped = (wanted + WINDOW_STEP - 1) / WINDOW_STEP * WINDOW_STEP;
    stepped.clamp(smallest, FULL_WINDOW)
}

/// What differs between decodes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) seconds: f32,
    pub(crate) threads: i32,
    pub(crate) language: &'a str,
    pub(crate) translate: bool,
    pub(crate) word_timestamps: bool,
    pub(crate) prompt: &'a [i32],
    /// Where the temperature begins.
    pub(crate) temperature: f32,
    /// Counts the readings: the first, and one for each rise of the temperature because the one
    /// before failed Whisper's own checks.
    pub(crate) readings: &'a AtomicU32,
}

/// whisper.cpp's parameters for `settings`. Raising `abort` breaks the decode off.
pub(crate) fn full<'a>(settings: &Settings<'a>, abort: &'a AtomicBool) -> FullParams<'a, 'a> {
    let mut p = FullParams::new(if settings.language != ENGLISH {
        SamplingStrategy::BeamSearch {
            beam_size: FOREIGN_BEAMS,
            // Whisper's own default.
            patience: -1.0,
        }
    } else {
        SamplingStrategy::Greedy { best_of: 1 }
    });
    p.set_n_threads(settings.threads);
    p.set_audio_ctx(audio_ctx(settings.seconds, settings.language == ENGLISH));
    p.set_language(Some(settings.language));
    p.set_translate(settings.translate);
    p.set_no_context(true);
    if !settings.prompt.is_empty() {
        p.set_tokens(settings.prompt);
    }
    // The piece fits into one window: without this, the engine would encode what it believes is
    // left after the last timestamp once more.
    p.set_single_segment(true);
    p.set_no_timestamps(false);
    p.set_token_timestamps(settings.word_timestamps);
    p.set_suppress_blank(true);
    // OpenAI's own default: no brackets, notes and the like.
    p.set_suppress_nst(true);
    p.set_temperature(settings.temperature);
    p.set_temperature_inc(0.2);
    p.set_entropy_thold(2.4);
    p.set_logprob_thold(-1.0);
    p.set_no_speech_thold(0.6);
    p.set_print_special(false);
    p.set_print_progress(false);
    p.set_print_realtime(false);
    p.set_print_timestamps(false);
    // SAFETY: `is_raised` reads an `AtomicBool` through the user data, which is `abort`; the
    // parameters borrow it for `'a`, so that it outlives every call.
    unsafe {
        p.set_abort_callback(Some(is_raised));
        p.set_abort_callback_user_data(std::ptr::from_ref(abort).cast_mut().cast());
    }
    // SAFETY: `count_reading` changes an `AtomicU32` through the user data, which is `readings`;
    // the parameters borrow it for `'a`, so that it outlives every call.
    unsafe {
        p.set_filter_logits_callback(Some(count_reading));
        p.set_filter_logits_callback_user_data(
            std::ptr::from_ref(settings.readings).cast_mut().cast(),
        );
    }
    p
}

/// Parameters that only compute the spectrum and set the encoder window of the state: what
/// language detection needs.
pub(crate) fn spectrum_only<'a>(
    settings: &Settings<'a>,
    abort: &'a AtomicBool,
) -> FullParams<'a, 'a> {
    let mut p = full(settings, abort);
    // SAFETY: `never` has the callback's type and uses no user data.
    unsafe {
        p.set_start_encoder_callback(Some(never));
    }
    p
}

unsafe extern "C" fn is_raised(user_data: *mut c_void) -> bool {
    // SAFETY: set together with this callback in `full`, to a live `AtomicBool`.
    let flag = unsafe { &*user_data.cast::<AtomicBool>() };
    flag.load(Ordering::Relaxed)
}

unsafe extern "C" fn count_reading(
    _: *mut sys::whisper_context,
    _: *mut sys::whisper_state,
    _: *const sys::whisper_token_data,
    tokens: c_int,
    _: *mut f32,
    user_data: *mut c_void,
) {
    // Called for each token that is to be chosen: a reading begins with none.
    if tokens == 0 {
        // SAFETY: set together with this callback in `full`, to a live `AtomicU32`.
        let readings = unsafe { &*user_data.cast::<AtomicU32>() };
        readings.fetch_add(1, Ordering::Relaxed);
    }
}

unsafe extern "C" fn never(
    _: *mut sys::whisper_context,
    _: *mut sys::whisper_state,
    _: *mut c_void,
) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoder_window_follows_the_sound_within_its_limits() {
        assert_eq!(audio_ctx(0.3, true), 384);
        assert_eq!(audio_ctx(0.3, false), 768);
        assert_eq!(audio_ctx(6.4, true), 384);
        assert_eq!(audio_ctx(6.5, true), 448);
        assert_eq!(audio_ctx(20.0, true), 1_088);
        assert_eq!(audio_ctx(28.7, true), 1_500);
        assert_eq!(audio_ctx(30.0, true), 1_500);
    }

    #[test]
    fn the_window_always_holds_the_sound() {
        for tenths in 1..=287 {
            let seconds = tenths as f32 / 10.0;
            assert!(
                audio_ctx(seconds, true) as f32 >= seconds * 50.0 + 64.0
                    || audio_ctx(seconds, true) == 1_500
            );
        }
    }
}
