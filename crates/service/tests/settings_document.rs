//! The document of the settings that every service has is what the table says.

#[test]
fn the_document_of_the_common_settings_is_up_to_date() {
    let wanted = speakr_service::config::markdown(
        "Settings of every service",
        "Read from the environment. What is set to nothing counts as not set. A secret can be given \
         in a file instead, which `NAME_FILE` names; the file is read again when it changes.",
        speakr_service::common_settings(),
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config/common.md");
    if std::env::var_os("SPEAKR_UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(found, wanted, "SPEAKR_UPDATE_DOCS=1 writes {path} anew");
}
