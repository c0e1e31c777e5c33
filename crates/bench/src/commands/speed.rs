//! `speakr-bench speed`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use speakr_bench::{
    accuracy::{self, Measurement},
    manifest::{self, Clip},
    normaliser::EnglishNormaliser,
    peer, process_cpu,
    wer::{WordErrors, word_errors},
};
use speakr_core::usecases::transcribe::Pace;
use speakr_whisper::{ModelBytes, SileroModel};

use super::{Failure, bundled_models, load_engine};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder with manifest.tsv and WAV files.
    #[arg(long, env = "SPEAKR_SPEECH_DIR")]
    speech: PathBuf,
    /// Speech model (whisper.cpp's format); the bundled one if absent.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Larger ones, to be reported beside it.
    #[arg(long)]
    also: Vec<PathBuf>,
    /// A Python with faster-whisper.
    #[arg(long, env = "SPEAKR_PEER_PYTHON", requires = "peer_model")]
    peer_python: Option<PathBuf>,
    /// The same model for it (CTranslate2's format).
    #[arg(long, env = "SPEAKR_PEER_MODEL")]
    peer_model: Option<PathBuf>,
    /// Beams of the peer.
    #[arg(long, value_delimiter = ',', default_value = "1,5")]
    beams: Vec<usize>,
    /// Write all figures as JSON here.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One contender.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    cpu_per_second: f64,
    word_error_rate: f64,
    peak_rss_mb: f64,
}

/// Measures and prints. `false`: speakr took more processor time or memory than the peer at its
/// first beam, or there was no peer to compare with.
pub(crate) fn run(args: &Args) -> Result<bool, Failure> {
    let clips: Vec<Clip> = manifest::read(&args.speech)?
        .into_iter()
        .filter(|c| c.language == "en")
        .collect();
    if clips.is_empty() {
        return Err("there is no English speech in that folder".into());
    }
    let bundled = bundled_models().join("ggml-tiny.en-q8_0.bin");
    let mut rows = vec![ours(args.model.as_ref().unwrap_or(&bundled), &clips)?];
    let mut first_peer = None;
    match (&args.peer_python, &args.peer_model) {
        (Some(python), Some(model)) => {
            first_peer = Some(rows.len());
            for &beam in &args.beams {
                rows.push(theirs(python, model, beam, &clips)?);
            }
        }
        _ => eprintln!(
            "not measured: the peer; give --peer-python and --peer-model (scripts/bench.sh gets them \
             where it can)"
        ),
    }
    for model in &args.also {
        rows.push(ours(model, &clips)?);
    }
    println!(
        "{:<40} {:>8} {:>8} {:>8}",
        "one thread", "CPU s/s", "WER", "RSS MB"
    );
    for r in &rows {
        println!(
            "{:<40} {:>8.4} {:>8.4} {:>8.0}",
            r.name, r.cpu_per_second, r.word_error_rate, r.peak_rss_mb
        );
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    Ok(first_peer.and_then(|at| rows.get(at)).is_some_and(|peer| {
        rows[0].cpu_per_second <= peer.cpu_per_second && rows[0].peak_rss_mb <= peer.peak_rss_mb
    }))
}

fn ours(model: &Path, clips: &[Clip]) -> Result<Row, Failure> {
    let vad = bundled_models().join("ggml-silero-v6.2.0.bin");
    let vad = SileroModel::load(&ModelBytes::File(vad))?;
    let engine = load_engine(model, 1)?;
    let measurement = Measurement {
        engine: Arc::new(engine),
        vad: &vad,
        pace: Pace::File,
        segmentation: None,
        real_time: false,
        detect_language: false,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()?;
    let result = runtime.block_on(accuracy::measure(&measurement, clips))?;
    Ok(Row {
        name: format!("speakr {}", result.model),
        cpu_per_second: result.cpu_per_second,
        word_error_rate: result.word_error_rate,
        peak_rss_mb: process_cpu::peak_rss_mb(),
    })
}

fn theirs(python: &Path, model: &Path, beam: usize, clips: &[Clip]) -> Result<Row, Failure> {
    let paths: Vec<&Path> = clips.iter().map(|c| c.path.as_path()).collect();
    let run = peer::run(python, model, beam, "en", &paths)?;
    let normaliser = EnglishNormaliser::new()?;
    let mut errors = WordErrors::default();
    let mut seconds = 0.0;
    for (clip, text) in clips.iter().zip(&run.texts) {
        errors += word_errors(
            &normaliser.normalise(&clip.transcript),
            &normaliser.normalise(text),
        );
        seconds += clip.pcm()?.len() as f64 / 16_000.0;
    }
    Ok(Row {
        name: run.name,
        cpu_per_second: run.cpu_s / f64::max(seconds, 1e-9),
        word_error_rate: errors.rate(),
        peak_rss_mb: run.peak_rss_mb,
    })
}
