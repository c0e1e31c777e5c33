//! One module a command. Each takes the composed app and its own arguments.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod format;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod models;
pub(crate) mod play;
pub(crate) mod record;
pub(crate) mod reindex;
pub(crate) mod retry;
pub(crate) mod rm;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod tag;
pub(crate) mod token;
pub(crate) mod transcribe;
