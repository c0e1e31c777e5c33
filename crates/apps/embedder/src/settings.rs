//! The settings of this service, beside those of its parts.

use speakr_service::config::{Kind, Setting};

pub(crate) const AT_ONCE: Setting = Setting::new(
    "SPEAKR_EMBEDDER_AT_ONCE",
    Kind::Number { min: 1, max: 256 },
    "Recordings worked on at a time.",
)
.default("2");

pub(crate) const MAX_ATTEMPTS: Setting = Setting::new(
    "SPEAKR_MAX_ATTEMPTS",
    Kind::Number { min: 1, max: 1_000 },
    "How often an event is tried before it is put among the dead letters.",
)
.default("10");

pub(crate) const ACK_WAIT: Setting = Setting::new(
    "SPEAKR_ACK_WAIT",
    Kind::Duration,
    "An event is handed to another replica when nothing is heard of it for so long.",
)
.default("30s");

/// The settings of the worker.
pub(crate) const TABLE: &[Setting] = &[AT_ONCE, MAX_ATTEMPTS, ACK_WAIT];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use speakr_platform::{bus, database, embedder, openai, store};

    #[test]
    fn the_document_of_the_settings_is_up_to_date() {
        let wanted = speakr_service::config::markdown(
            "Settings of speakr-embedder",
            "Beside [those of every service](common.md). Read from the environment. `migrate` reads \
             those of the database alone, `rebuild` none of the bus.",
            &[
                bus::SETTINGS,
                store::SETTINGS,
                database::SETTINGS,
                openai::SETTINGS,
                embedder::SETTINGS,
                super::TABLE,
            ]
            .concat(),
        );
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../docs/config/embedder.md"
        );
        if std::env::var_os("SPEAKR_UPDATE_DOCS").is_some() {
            std::fs::write(path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(found, wanted, "SPEAKR_UPDATE_DOCS=1 writes {path} anew");
    }
}
