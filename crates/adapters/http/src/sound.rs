//! A recording's sound, whole or in ranges (RFC 9110, 14), so that players can seek.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use speakr_core::{audio::SAMPLE_RATE_HZ, ports::archive::SoundForm};

use crate::{api::Api, problem::Problem, request::OfRecording};

/// The sound, or the range of it that was asked for.
pub(crate) async fn sound(
    State(api): State<Api>,
    OfRecording(id): OfRecording,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let file = api.library().archive().sound_file(id).await?;
    let (media_type, prefix) = form(file.form(), file.bytes());
    let total = prefix.len() as u64 + file.bytes();
    let etag = format!("\"{}\"", file.version());
    let asked = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok())
        // A range of what has changed meanwhile would not fit what the client has.
        .filter(|_| {
            headers
                .get(header::IF_RANGE)
                .is_none_or(|tag| tag == etag.as_str())
        });
    let range = asked.map_or(Range::Whole, |text| parse_range(text, total));

    let (status, start, end) = match range {
        Range::Whole => (StatusCode::OK, 0, total),
        Range::Part { start, end } => (StatusCode::PARTIAL_CONTENT, start, end),
        Range::None => {
            let mut response = Problem {
                status: StatusCode::RANGE_NOT_SATISFIABLE,
                kind: "range",
                title: "There is nothing in this range",
                detail: format!("the sound has {total} bytes"),
                retry_after_s: None,
            }
            .into_response();
            insert(
                response.headers_mut(),
                header::CONTENT_RANGE,
                &format!("bytes */{total}"),
            );
            return Ok(response);
        }
    };
    let head = prefix
        .get(usize::try_from(start).unwrap_or(usize::MAX)..)
        .map(|rest| {
            &rest[..rest
                .len()
                .min(usize::try_from(end - start).unwrap_or(usize::MAX))]
        })
        .map(Bytes::copy_from_slice)
        .unwrap_or_default();
    let from = start.saturating_sub(prefix.len() as u64);
    let rest = file.read(from..from + (end - start) - head.len() as u64);
    let rest = rest.await?.map_ok(Bytes::from);
    let body = Body::from_stream(stream::iter([Ok(head)]).chain(rest));

    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, (end - start).into());
    insert(headers, header::ETAG, &etag);
    if status == StatusCode::PARTIAL_CONTENT {
        insert(
            headers,
            header::CONTENT_RANGE,
            &format!("bytes {start}-{}/{total}", end - 1),
        );
    }
    Ok(response)
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// The media type of the sound, and what has to stand before its content: raw samples become a WAV
/// file by their header.
fn form(form: SoundForm, len: u64) -> (&'static str, Vec<u8>) {
    match form {
        SoundForm::Flac => ("audio/flac", Vec::new()),
        SoundForm::Wav => ("audio/wav", Vec::new()),
        SoundForm::Raw => ("audio/wav", wav_header(len)),
    }
}

/// The 44 bytes before `len` bytes of 16-bit mono samples.
fn wav_header(len: u64) -> Vec<u8> {
    // A length past 4 GiB can't be told in this header; players then read to the end.
    let data = u32::try_from(len).unwrap_or(u32::MAX);
    let mut header = Vec::with_capacity(44);
    header.extend_from_slice(b"RIFF");
    header.extend_from_slice(&data.saturating_add(36).to_le_bytes());
    header.extend_from_slice(b"WAVEfmt ");
    header.extend_from_slice(&16_u32.to_le_bytes());
    header.extend_from_slice(&1_u16.to_le_bytes());
    header.extend_from_slice(&1_u16.to_le_bytes());
    header.extend_from_slice(&SAMPLE_RATE_HZ.to_le_bytes());
    header.extend_from_slice(&(SAMPLE_RATE_HZ * 2).to_le_bytes());
    header.extend_from_slice(&2_u16.to_le_bytes());
    header.extend_from_slice(&16_u16.to_le_bytes());
    header.extend_from_slice(b"data");
    header.extend_from_slice(&data.to_le_bytes());
    header
}

/// What of the sound is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// All: no range, or one that isn't understood (which the RFC lets a server ignore).
    Whole,
    /// From `start` to before `end`.
    Part { start: u64, end: u64 },
    /// Nothing that is there.
    None,
}

fn parse_range(text: &str, total: u64) -> Range {
    let Some(spec) = text.trim().strip_prefix("bytes=") else {
        return Range::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Range::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| -> Option<u64> {
        text.chars()
            .all(|c| c.is_ascii_digit())
            .then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (start, end) = match (first.is_empty(), last.is_empty()) {
        (true, true) => return Range::Whole,
        (true, false) => match number(last) {
            Some(0) => return Range::None,
            Some(n) => (total.saturating_sub(n), total),
            None => return Range::Whole,
        },
        (false, true) => match number(first) {
            Some(start) => (start, total),
            None => return Range::Whole,
        },
        (false, false) => match (number(first), number(last)) {
            (Some(start), Some(last)) if start <= last => {
                (start, last.saturating_add(1).min(total))
            }
            _ => return Range::Whole,
        },
    };
    if start >= total {
        return Range::None;
    }
    Range::Part { start, end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_has_them() {
        let part = |start, end| Range::Part { start, end };
        for (text, wanted) in [
            ("bytes=0-9", part(0, 10)),
            ("bytes=90-", part(90, 100)),
            ("bytes=90-500", part(90, 100)),
            ("bytes=-10", part(90, 100)),
            ("bytes=-500", part(0, 100)),
            ("bytes=100-", Range::None),
            ("bytes=-0", Range::None),
            ("bytes=99999999999999999999-", Range::None),
            ("bytes=9-3", Range::Whole),
            ("bytes=0-1,5-6", Range::Whole),
            ("bytes=-", Range::Whole),
            ("lines=1-2", Range::Whole),
        ] {
            assert_eq!(parse_range(text, 100), wanted, "{text}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Range::None);
    }

    #[test]
    fn raw_samples_get_the_header_of_a_wav_file() {
        let header = wav_header(32_000);
        assert_eq!(header.len(), 44);
        assert_eq!(&header[40..], 32_000_u32.to_le_bytes());
        assert_eq!(&header[24..28], 16_000_u32.to_le_bytes());
    }
}
