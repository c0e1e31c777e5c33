//! whisper.cpp's and ggml's messages, which go to stderr by default, as `tracing` events.

#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_char, c_void},
    sync::Once,
};

use whisper_rs::whisper_rs_sys::{self as sys, ggml_log_level};

static INSTALL: Once = Once::new();

/// Installs the hook for the whole process; later calls do nothing.
pub(crate) fn install() {
    INSTALL.call_once(|| {
        // SAFETY: `forward` has the type that both functions ask for and lives as long as the
        // process; it uses no user data.
        unsafe {
            sys::whisper_log_set(Some(forward), std::ptr::null_mut());
            sys::ggml_log_set(Some(forward), std::ptr::null_mut());
        }
    });
}

/// The engine calls a cancelled decode an error and tells its sizes at every load: nothing of this
/// is a message to people. Real failures reach the caller as errors.
unsafe extern "C" fn forward(level: ggml_log_level, text: *const c_char, _: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: the engine passes a zero-terminated string that lives for the call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let text = text.trim_end();
    if text.is_empty() {
        return;
    }
    match level {
        sys::ggml_log_level_GGML_LOG_LEVEL_ERROR | sys::ggml_log_level_GGML_LOG_LEVEL_WARN => {
            tracing::debug!(target: "speakr_whisper::engine", "{text}");
        }
        _ => tracing::trace!(target: "speakr_whisper::engine", "{text}"),
    }
}
