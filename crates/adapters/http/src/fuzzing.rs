//! What reads bytes that came over HTTP, for fuzz targets to call. It answers whether they were good.

use axum::{
    body::Body,
    extract::{FromRequest, Multipart},
    http::{Request, header},
};

use crate::{
    api::ApiConfig,
    query::wanted,
    request::object,
    transcriptions::form,
    wire::{QueryRequest, TagChange},
};

/// Reads the body of a query.
#[must_use]
pub fn query(body: &[u8]) -> bool {
    object::<QueryRequest>(body).is_ok_and(|asked| wanted(asked).is_ok())
}

/// Reads the body of a change of tags.
#[must_use]
pub fn tags(body: &[u8]) -> bool {
    object::<TagChange>(body).is_ok()
}

/// Reads the form of a transcription, whose parts `boundary` divides.
pub async fn transcription(boundary: &str, body: Vec<u8>, config: &ApiConfig) -> bool {
    let kind = format!("multipart/form-data; boundary={boundary}");
    let Ok(request) = Request::builder()
        .header(header::CONTENT_TYPE, kind)
        .body(Body::from(body))
    else {
        return false;
    };
    match Multipart::from_request(request, &()).await {
        Ok(multipart) => form::read(multipart, config).await.is_ok(),
        Err(_) => false,
    }
}
