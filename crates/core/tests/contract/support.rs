//! Things to put into an index.

use jiff::Timestamp;
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState, Segment, Tags, Transcript,
    ports::{
        index::{EmbeddedPassage, Filter, Index, Passage},
        speech::DecodeOptions,
    },
};

/// The embedding model of these tests.
pub const MODEL: &str = "test-model";

/// Length of its vectors.
pub const DIMENSIONS: usize = 48;

/// Numbers that look random and are the same each time (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A vector of unit length.
    pub fn vector(&mut self) -> Vec<f32> {
        let raw: Vec<f32> = (0..DIMENSIONS)
            .map(|_| (0..4).map(|_| self.below(2_001) as f32 - 1_000.0).sum())
            .collect();
        let length = raw.iter().map(|v| v * v).sum::<f32>().sqrt();
        raw.iter().map(|v| v / length).collect()
    }
}

pub fn recording_at(second: i64, tags: &[&str]) -> Recording {
    let mut recording = Recording::begin(
        CorrelationId::random(),
        Timestamp::from_second(second).unwrap(),
        Tags::new(tags),
        DecodeOptions::default(),
    );
    recording.state = RecordingState::Transcribed;
    recording.duration_ms = Some(1_000);
    recording
}

pub fn transcript(recording: &Recording, text: &str) -> Transcript {
    Transcript {
        recording_id: recording.recording_id,
        text: text.to_owned(),
        language: None,
        duration_ms: 1_000,
        model: "tiny.en".to_owned(),
        created_at: recording.created_at,
        tags: recording.tags.clone(),
        metadata: recording.metadata.clone(),
        segments: vec![Segment {
            start_ms: 0,
            end_ms: 1_000,
            text: text.to_owned(),
            words: None,
        }],
    }
}

pub fn passage(ordinal: u32, text: &str, vector: Vec<f32>) -> EmbeddedPassage {
    EmbeddedPassage {
        passage: Passage {
            ordinal,
            start_ms: u64::from(ordinal) * 1_000,
            end_ms: u64::from(ordinal) * 1_000 + 900,
            text: text.to_owned(),
        },
        vector,
    }
}

pub async fn put(index: &dyn Index, recording: &Recording, texts: &[&str], numbers: &mut Numbers) {
    let passages: Vec<EmbeddedPassage> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| passage(i as u32, text, numbers.vector()))
        .collect();
    let transcript = transcript(recording, &texts.join(" "));
    index
        .upsert(recording, Some(&transcript), &passages, MODEL)
        .await
        .unwrap();
}

pub async fn found_by(index: &dyn Index, query: &str, filter: &Filter) -> Vec<RecordingId> {
    index
        .keyword_hits(query, None, filter, 100)
        .await
        .unwrap()
        .into_iter()
        .map(|hit| hit.recording_id)
        .collect()
}

pub fn tagged(tags: &[&str]) -> Filter {
    Filter {
        tags: Tags::new(tags),
        ..Filter::default()
    }
}
