//! A transcript as a file of the formats that people use: plain text, subtitles, JSON, a table.

use std::{fmt, fmt::Write, str::FromStr};

use crate::transcript::{Segment, Transcript};

/// A format of exported transcripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExportFormat {
    /// One segment a line.
    Txt,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles (<https://www.w3.org/TR/webvtt1/>).
    Vtt,
    /// The whole document, as stored.
    Json,
    /// `start`, `end` (milliseconds) and `text`, separated by tabs, as Whisper's own program
    /// writes it.
    Tsv,
}

impl ExportFormat {
    /// All formats.
    pub const ALL: [Self; 5] = [Self::Txt, Self::Srt, Self::Vtt, Self::Json, Self::Tsv];

    /// Its name, which is its file extension too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Json => "json",
            Self::Tsv => "tsv",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No such format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no export format; there are txt, srt, vtt, json and tsv")]
pub struct UnknownFormat(pub String);

impl FromStr for ExportFormat {
    type Err = UnknownFormat;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str().eq_ignore_ascii_case(s))
            .ok_or_else(|| UnknownFormat(s.to_owned()))
    }
}

/// `transcript` in `format`. Lines end with a line feed on every system; every format reads that.
///
/// # Errors
/// [`serde_json::Error`] when the metadata can't be written as JSON.
pub fn export(transcript: &Transcript, format: ExportFormat) -> Result<String, serde_json::Error> {
    let lines = transcript
        .segments
        .iter()
        .map(|segment| (segment, one_line(&segment.text)))
        .filter(|(_, text)| !text.is_empty());
    Ok(match format {
        ExportFormat::Txt => txt(transcript, lines),
        ExportFormat::Srt => srt(lines),
        ExportFormat::Vtt => vtt(lines),
        ExportFormat::Json => serde_json::to_string_pretty(transcript)? + "\n",
        ExportFormat::Tsv => tsv(lines),
    })
}

/// White space of any kind and number (line ends, tabs) as one space: in most formats a line end
/// or an empty line inside a text would end it.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn txt<'a>(transcript: &Transcript, lines: impl Iterator<Item = (&'a Segment, String)>) -> String {
    let mut out: String = lines.map(|(_, text)| text + "\n").collect();
    if out.is_empty() && !transcript.text.trim().is_empty() {
        out = transcript.text.trim().to_owned() + "\n";
    }
    out
}

fn srt<'a>(lines: impl Iterator<Item = (&'a Segment, String)>) -> String {
    let mut out = String::new();
    for (number, (segment, text)) in lines.enumerate() {
        let (start, end) = times(segment);
        // SubRip has no escapes: an arrow in the text would read as a cue's times.
        let text = text.replace("-->", "→");
        let (start, end) = (clock(start, ','), clock(end, ','));
        // Writing to a string can't fail.
        let _ = write!(out, "{}\n{start} --> {end}\n{text}\n\n", number + 1);
    }
    out
}

fn vtt<'a>(lines: impl Iterator<Item = (&'a Segment, String)>) -> String {
    let mut out = String::from("WEBVTT\n\n");
    for (segment, text) in lines {
        let (start, end) = times(segment);
        let text = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        let (start, end) = (clock(start, '.'), clock(end, '.'));
        let _ = write!(out, "{start} --> {end}\n{text}\n\n");
    }
    out
}

fn tsv<'a>(lines: impl Iterator<Item = (&'a Segment, String)>) -> String {
    let mut out = String::from("start\tend\ttext\n");
    for (segment, text) in lines {
        let _ = writeln!(out, "{}\t{}\t{text}", segment.start_ms, segment.end_ms);
    }
    out
}

/// Start and end of a cue: players skip one that doesn't end after it starts.
fn times(segment: &Segment) -> (u64, u64) {
    let start = segment.start_ms;
    (start, segment.end_ms.max(start.saturating_add(1)))
}

/// `ms` as `HH:MM:SS` and the milliseconds behind `separator`; hours get as many digits as they
/// need, two at least.
fn clock(ms: u64, separator: char) -> String {
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!(
        "{hours:02}:{minutes:02}:{seconds:02}{separator}{:03}",
        ms % 1_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{CorrelationId, Metadata, RecordingId, Tags};

    /// Everything that formats trip over: hours, arrows, markup, line ends, emoji, Hebrew, an
    /// empty segment, one of no length.
    fn transcript() -> Transcript {
        let segments: Vec<Segment> = [
            (0, 1_500, "Hello, world."),
            (1_500, 1_500, "now"),
            (59_999, 61_001, "if a < b && b > c --> done"),
            (3_599_000, 3_600_000, "one\r\n\r\ntwo\tthree"),
            (3_661_234, 3_662_000, "🎉 naïve café"),
            (36_000_000, 36_001_000, "שלום עולם"),
            (360_000_000, 360_001_000, ""),
            (360_001_000, 360_002_000, "a hundred hours"),
        ]
        .into_iter()
        .map(|(start_ms, end_ms, text)| Segment {
            start_ms,
            end_ms,
            text: text.to_owned(),
            words: None,
        })
        .collect();
        let correlation: uuid::Uuid = "9b2f6a53-7a34-4e0c-9f57-0f4a7d2a4a11".parse().unwrap();
        Transcript {
            recording_id: RecordingId::from_correlation(CorrelationId::from(correlation)),
            text: crate::transcript::join_texts(&segments),
            language: Some(crate::Language::english()),
            duration_ms: 360_003_000,
            model: "tiny.en-q8_0".to_owned(),
            created_at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            tags: Tags::new(["work", "idea"]),
            metadata: Metadata::new(),
            segments,
        }
    }

    fn exported(format: ExportFormat) -> String {
        export(&transcript(), format).unwrap()
    }

    #[test]
    fn every_format_equals_its_golden_file() {
        for (format, golden) in [
            (
                ExportFormat::Txt,
                include_str!("../tests/golden/export.txt"),
            ),
            (
                ExportFormat::Srt,
                include_str!("../tests/golden/export.srt"),
            ),
            (
                ExportFormat::Vtt,
                include_str!("../tests/golden/export.vtt"),
            ),
            (
                ExportFormat::Json,
                include_str!("../tests/golden/export.json"),
            ),
            (
                ExportFormat::Tsv,
                include_str!("../tests/golden/export.tsv"),
            ),
        ] {
            assert_eq!(exported(format), golden, "{format}");
        }
    }

    #[test]
    fn no_format_but_json_carries_a_carriage_return() {
        for format in ExportFormat::ALL {
            assert!(!exported(format).contains('\r'), "{format}");
        }
    }

    #[test]
    fn an_arrow_in_the_text_is_no_cue_time() {
        for format in [ExportFormat::Srt, ExportFormat::Vtt] {
            let text = exported(format);
            assert_eq!(text.matches("-->").count(), 7, "{text}");
        }
    }

    #[test]
    fn json_reads_back_as_the_same_transcript() {
        let back: Transcript = serde_json::from_str(&exported(ExportFormat::Json)).unwrap();
        assert_eq!(back, transcript());
    }

    #[test]
    fn silence_exports_as_an_empty_file_of_its_format() {
        let mut silent = transcript();
        silent.segments.clear();
        silent.text.clear();
        let of = |format| export(&silent, format).unwrap();
        assert_eq!(of(ExportFormat::Txt), "");
        assert_eq!(of(ExportFormat::Srt), "");
        assert_eq!(of(ExportFormat::Vtt), "WEBVTT\n\n");
        assert_eq!(of(ExportFormat::Tsv), "start\tend\ttext\n");
    }

    #[test]
    fn formats_are_named_by_their_extension_in_any_case() {
        assert_eq!("SRT".parse(), Ok(ExportFormat::Srt));
        assert_eq!(
            "docx".parse::<ExportFormat>(),
            Err(UnknownFormat("docx".to_owned()))
        );
    }
}
