//! The desktop clipboard.
//!
//! On Wayland and X11 the clipboard's text is served by the program that put it there, for as
//! long as it is wanted. speakr ends, so a helper that stays takes that over: wl-copy, xclip or
//! xsel. macOS (pbcopy) and Windows keep the text themselves.

#[cfg(not(windows))]
mod desktop;
#[cfg(not(windows))]
mod program;
#[cfg(not(windows))]
pub use desktop::{Desktop, SystemClipboard};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::SystemClipboard;
