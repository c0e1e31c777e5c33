//! The document of this service's settings is what its table says.

#![allow(clippy::unwrap_used, reason = "test code")]

#[test]
fn the_document_of_the_settings_is_up_to_date() {
    let wanted = speakr_service::config::markdown(
        "Settings of speakr-transcriber",
        "Beside [those of every service](common.md). Read from the environment.",
        &[
            speakr_platform::bus::SETTINGS,
            speakr_platform::store::SETTINGS,
            speakr_platform::openai::SETTINGS,
            speakr_transcriber::settings::TABLE,
        ]
        .concat(),
    );
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../docs/config/transcriber.md"
    );
    if std::env::var_os("SPEAKR_UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(found, wanted, "SPEAKR_UPDATE_DOCS=1 writes {path} anew");
}
