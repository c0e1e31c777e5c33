//! The OpenAPI document in docs is what the program serves.

#[test]
fn the_openapi_document_is_up_to_date() {
    let wanted = serde_json::to_string_pretty(&speakr_http::openapi_document()).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/openapi.json");
    if std::env::var_os("SPEAKR_UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == wanted, "SPEAKR_UPDATE_DOCS=1 writes {path} anew");
}
