//! Word error rate of the whole pipeline over a folder of speech: as files and live.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde::Serialize;
use speakr_core::{
    Language,
    ports::speech::{DecodeOptions, SpeechEngine},
    segmenter::SegmenterConfig,
    transcript::join_texts,
    usecases::transcribe::{Pace, TranscribeError, Transcriber},
};
use speakr_whisper::SileroModel;
use tokio_util::sync::CancellationToken;

use crate::{
    latency,
    manifest::{Clip, ManifestError},
    normaliser::{BasicNormaliser, EnglishNormaliser, NormaliserError},
    process_cpu,
    wer::{WordErrors, longest_gap, word_errors},
};

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum AccuracyError {
    /// The clips can't be read.
    #[error(transparent)]
    Clips(#[from] ManifestError),
    /// A clip can't be transcribed.
    #[error("can't transcribe {clip}")]
    Transcribe {
        /// Its name.
        clip: String,
        /// Why.
        #[source]
        cause: TranscribeError,
    },
    /// The normalisers are broken.
    #[error(transparent)]
    Normaliser(#[from] NormaliserError),
}

/// How one clip went.
#[derive(Debug, Clone, Serialize)]
pub struct ClipResult {
    /// Its name.
    pub clip: String,
    /// Its language.
    pub language: String,
    /// The language that was heard.
    pub heard_language: Option<String>,
    /// Its length.
    pub seconds: f64,
    /// Wrong words.
    pub errors: WordErrors,
    /// Words left out in a row, at most.
    pub longest_gap: usize,
    /// Processor seconds.
    pub cpu_s: f64,
    /// Seconds by the clock.
    pub wall_s: f64,
    /// What should be heard, normalised.
    pub reference: String,
    /// What was heard, normalised.
    pub hypothesis: String,
    /// What was heard, as printed.
    pub text: String,
}

/// How all clips went.
#[derive(Debug, Clone, Serialize)]
pub struct Accuracy {
    /// The model.
    pub model: String,
    /// `file` or `live`.
    pub pace: &'static str,
    /// Wrong words over all clips.
    pub errors: WordErrors,
    /// Errors by words.
    pub word_error_rate: f64,
    /// Seconds of sound.
    pub seconds: f64,
    /// Processor seconds.
    pub cpu_s: f64,
    /// Processor seconds per second of sound.
    pub cpu_per_second: f64,
    /// Clip by clip.
    pub clips: Vec<ClipResult>,
}

/// What to measure.
pub struct Measurement<'a> {
    /// The engine.
    pub engine: Arc<dyn SpeechEngine>,
    /// The voice activity model.
    pub vad: &'a SileroModel,
    /// As files or live.
    pub pace: Pace,
    /// How to cut, if not as built in.
    pub segmentation: Option<SegmenterConfig>,
    /// Whether live sound comes no faster than it was spoken.
    pub real_time: bool,
    /// Whether the engine has to find out the language by itself.
    pub detect_language: bool,
}

/// A transcriber for `measurement`.
#[must_use]
pub fn transcriber(measurement: &Measurement<'_>) -> Transcriber {
    let vad = measurement.vad.clone();
    let transcriber = Transcriber::new(
        Arc::clone(&measurement.engine),
        Box::new(move || Ok(Box::new(vad.detector()))),
    );
    match &measurement.segmentation {
        Some(config) => transcriber.with_segmentation(measurement.pace, config.clone()),
        None => transcriber,
    }
}

/// Transcribes `clips` and counts wrong words.
///
/// In live pace the sound comes in small chunks, so that pieces are cut as they are when somebody
/// speaks: as fast as the engine takes it, or in real time. Only in real time does the engine get
/// around to decode a piece in parts while it is open.
///
/// # Errors
/// [`AccuracyError`] at the first clip that can't be read or transcribed.
pub async fn measure(
    measurement: &Measurement<'_>,
    clips: &[Clip],
) -> Result<Accuracy, AccuracyError> {
    let english = EnglishNormaliser::new()?;
    let basic = BasicNormaliser::new()?;
    let transcriber = transcriber(measurement);
    let mut results = Vec::new();
    for clip in clips {
        let pcm = clip.pcm()?;
        let seconds = pcm.len() as f64 / 16_000.0;
        let options = DecodeOptions {
            language: (!measurement.detect_language).then(|| Language::new(&clip.language)),
            ..DecodeOptions::default()
        };
        let chunks: BoxStream<'_, Vec<i16>> = match measurement.pace {
            Pace::File => stream::iter([pcm]).boxed(),
            Pace::Live if measurement.real_time => {
                latency::as_spoken(&pcm, Arc::new(Mutex::new(Instant::now()))).boxed()
            }
            Pace::Live => {
                let chunks: Vec<_> = pcm.chunks(latency::CHUNK).map(<[i16]>::to_vec).collect();
                stream::iter(chunks).boxed()
            }
        };
        let cpu = process_cpu::seconds();
        let clock = Instant::now();
        let sound = transcriber
            .run(
                chunks,
                measurement.pace,
                &options,
                &(),
                &CancellationToken::new(),
            )
            .await
            .map_err(|cause| AccuracyError::Transcribe {
                clip: clip.name.clone(),
                cause,
            })?;
        let cpu_s = process_cpu::seconds() - cpu;
        let text = join_texts(&sound.segments);
        let normalise = |text: &str| match clip.language.as_str() {
            "en" => english.normalise(text),
            _ => basic.normalise(text),
        };
        let (reference, hypothesis) = (normalise(&clip.transcript), normalise(&text));
        results.push(ClipResult {
            clip: clip.name.clone(),
            language: clip.language.clone(),
            heard_language: sound.language.map(|l| l.to_string()),
            seconds,
            errors: word_errors(&reference, &hypothesis),
            longest_gap: longest_gap(&reference, &hypothesis),
            cpu_s,
            wall_s: clock.elapsed().as_secs_f64(),
            reference,
            hypothesis,
            text,
        });
    }
    let mut errors = WordErrors::default();
    let (mut seconds, mut cpu_s) = (0.0, 0.0);
    for result in &results {
        errors += result.errors;
        seconds += result.seconds;
        cpu_s += result.cpu_s;
    }
    Ok(Accuracy {
        model: measurement.engine.model().id.clone(),
        pace: match measurement.pace {
            Pace::File => "file",
            Pace::Live => "live",
        },
        word_error_rate: errors.rate(),
        errors,
        seconds,
        cpu_s,
        cpu_per_second: cpu_s / f64::max(seconds, 1e-9),
        clips: results,
    })
}
