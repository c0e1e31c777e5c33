//! `speakr-bench latency`.

use std::{path::PathBuf, sync::Arc};

use speakr_bench::{
    latency::{self, Stop},
    manifest,
};
use speakr_core::{ports::speech::SpeechEngine, usecases::transcribe::Transcriber};
use speakr_whisper::{ModelBytes, SileroModel};

use super::{Failure, bundled_models, load_engine};

/// Seconds of speech that end every sound.
const LAST_S: u64 = 30;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder with manifest.tsv and WAV files; they are played one after the other.
    #[arg(long, env = "SPEAKR_SPEECH_DIR")]
    speech: PathBuf,
    /// Speech model (whisper.cpp's format); the bundled one if absent.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Seconds of speech before the speaker stops.
    #[arg(long, value_delimiter = ',', default_value = "30,60,90")]
    after: Vec<u64>,
    /// Stops for each of them, each half a second later than the one before.
    #[arg(long, default_value_t = 5)]
    rounds: u64,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Highest median in milliseconds; above, the command fails.
    #[arg(long)]
    limit_ms: Option<f64>,
    /// Write all figures as JSON here.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// `after` seconds of speech. The last ones, in which the speaker stops, are the same whatever came
/// before them, so that lengths can be compared: half a second more of them each round.
fn spoken(pcm: &[i16], after: u64, round: u64) -> Vec<i16> {
    let seconds = |s: u64| (s * 16_000) as usize;
    let last = after.min(LAST_S);
    let end = seconds(last) + (round * 8_000) as usize;
    let before = pcm.iter().cycle().skip(end).take(seconds(after - last));
    before
        .chain(pcm.iter().cycle().take(end))
        .copied()
        .collect()
}

/// Measures and prints. `false`: a median is above the limit.
pub(crate) fn run(args: &Args) -> Result<bool, Failure> {
    let mut pcm = Vec::new();
    for clip in manifest::read(&args.speech)? {
        if clip.language == "en" {
            pcm.extend(clip.pcm()?);
        }
    }
    if pcm.is_empty() {
        return Err("there is no English speech in that folder".into());
    }
    let vad = bundled_models().join("ggml-silero-v6.2.0.bin");
    let vad = SileroModel::load(&ModelBytes::File(vad))?;
    let bundled = bundled_models().join("ggml-tiny.en-q8_0.bin");
    let engine = Arc::new(load_engine(
        args.model.as_ref().unwrap_or(&bundled),
        args.threads,
    )?);
    let transcriber = Transcriber::new(
        Arc::clone(&engine) as Arc<dyn SpeechEngine>,
        Box::new(move || Ok(Box::new(vad.detector()))),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()?;
    let mut stops: Vec<Stop> = Vec::new();
    let mut within = true;
    println!(
        "{} from the end of the sound to the whole text, {} threads",
        engine.model().id,
        args.threads
    );
    println!(
        "{:>9} {:>10} {:>10} {:>10}",
        "after s", "median ms", "least ms", "most ms"
    );
    for &after in &args.after {
        let mut found = Vec::new();
        for round in 0..args.rounds {
            let sound = spoken(&pcm, after, round);
            let stop = runtime.block_on(latency::measure(&transcriber, &sound))?;
            found.push(stop.latency_ms);
            stops.push(stop);
        }
        let least = found.iter().copied().fold(f64::INFINITY, f64::min);
        let most = found.iter().copied().fold(0.0, f64::max);
        let median = latency::median(found);
        within &= args.limit_ms.is_none_or(|limit| median <= limit);
        println!("{after:>9} {median:>10.0} {least:>10.0} {most:>10.0}");
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&stops)?)?;
    }
    Ok(within)
}
