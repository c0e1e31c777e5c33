//! `speakr-bench accuracy`.

use std::{path::PathBuf, sync::Arc};

use clap::ValueEnum;
use speakr_bench::{
    accuracy::{self, Accuracy, Measurement},
    manifest, thresholds,
};
use speakr_core::{segmenter::SegmenterConfig, usecases::transcribe::Pace};
use speakr_whisper::{ModelBytes, SileroModel};

use super::{Failure, bundled_models, load_engine};

/// How the sound comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PaceArg {
    /// As files.
    File,
    /// As from a microphone.
    Live,
    /// One after the other.
    Both,
}

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder with manifest.tsv and WAV files.
    #[arg(long, env = "SPEAKR_SPEECH_DIR")]
    speech: PathBuf,
    /// Speech models (whisper.cpp's format); the bundled one if absent.
    #[arg(long)]
    model: Vec<PathBuf>,
    /// Languages to measure.
    #[arg(long, value_delimiter = ',', default_value = "en")]
    languages: Vec<String>,
    /// Let the engine find the language out.
    #[arg(long)]
    detect_language: bool,
    /// Only clips whose name contains this.
    #[arg(long)]
    clip: Option<String>,
    #[arg(long, value_enum, default_value = "both")]
    pace: PaceArg,
    /// Let live sound come no faster than it was spoken: takes as long as the speech does.
    #[arg(long)]
    real_time: bool,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Print what was heard.
    #[arg(long)]
    texts: bool,
    /// Write all figures as JSON here.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Fail where a word error rate is above the limits of this file.
    #[arg(long)]
    thresholds: Option<PathBuf>,
    /// Fail where more words than these are wrong in all clips together.
    #[arg(long)]
    most_wrong_words: Option<usize>,
    /// Longest piece.
    #[arg(long)]
    longest_ms: Option<u64>,
    /// Earliest cut of a piece that grew too long.
    #[arg(long)]
    earliest_cut_ms: Option<u64>,
    /// Sound kept around speech.
    #[arg(long)]
    padding_ms: Option<u64>,
    /// Pauses that end a piece: FROM_MS:PAUSE_MS,…
    #[arg(long, value_delimiter = ',')]
    pauses: Vec<String>,
}

impl Args {
    fn segmentation(&self, pace: Pace) -> Result<SegmenterConfig, Failure> {
        let mut config = match pace {
            Pace::File => SegmenterConfig::file(),
            Pace::Live => SegmenterConfig::live(),
        };
        config.longest_ms = self.longest_ms.unwrap_or(config.longest_ms);
        config.earliest_cut_ms = self.earliest_cut_ms.unwrap_or(config.earliest_cut_ms);
        config.padding_ms = self.padding_ms.unwrap_or(config.padding_ms);
        if !self.pauses.is_empty() {
            config.pauses = self
                .pauses
                .iter()
                .map(|p| {
                    let (from, pause) = p.split_once(':').ok_or("pauses are FROM_MS:PAUSE_MS")?;
                    Ok((from.parse()?, pause.parse()?))
                })
                .collect::<Result<_, Failure>>()?;
        }
        Ok(config)
    }
}

/// Measures and prints. `false`: a limit is broken.
pub(crate) fn run(args: &Args) -> Result<bool, Failure> {
    let clips: Vec<_> = manifest::read(&args.speech)?
        .into_iter()
        .filter(|c| args.languages.contains(&c.language))
        .filter(|c| args.clip.as_ref().is_none_or(|part| c.name.contains(part)))
        .collect();
    if clips.is_empty() {
        return Err(format!(
            "not measured: there is no such clip in {}",
            args.speech.display()
        )
        .into());
    }
    let vad = bundled_models().join("ggml-silero-v6.2.0.bin");
    let vad = SileroModel::load(&ModelBytes::File(vad))?;
    let models = if args.model.is_empty() {
        vec![bundled_models().join("ggml-tiny.en-q8_0.bin")]
    } else {
        args.model.clone()
    };
    let paces = match args.pace {
        PaceArg::File => vec![Pace::File],
        PaceArg::Live => vec![Pace::Live],
        PaceArg::Both => vec![Pace::File, Pace::Live],
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()?;
    let mut all: Vec<Accuracy> = Vec::new();
    for model in &models {
        let engine = Arc::new(load_engine(model, args.threads)?);
        for &pace in &paces {
            let measurement = Measurement {
                engine: engine.clone(),
                vad: &vad,
                pace,
                segmentation: Some(args.segmentation(pace)?),
                real_time: args.real_time,
                detect_language: args.detect_language,
            };
            let result = runtime.block_on(accuracy::measure(&measurement, &clips))?;
            print(&result, args.texts);
            all.push(result);
        }
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&all)?)?;
    }
    let mut breaches = match &args.thresholds {
        Some(path) => thresholds::breaches(&thresholds::read(path)?, &all),
        None => Vec::new(),
    };
    for measured in &all {
        let wrong = measured.errors.errors();
        if args.most_wrong_words.is_some_and(|most| wrong > most) {
            breaches.push(format!(
                "{} ({}): {wrong} of {} words are wrong",
                measured.model, measured.pace, measured.errors.words
            ));
        }
    }
    for breach in &breaches {
        eprintln!("error: {breach}");
    }
    Ok(breaches.is_empty())
}

fn print(result: &Accuracy, texts: bool) {
    println!("\n{} ({})", result.model, result.pace);
    println!(
        "{:<28} {:>7} {:>5} {:>4} {:>4} {:>4} {:>4} {:>7} {:>7}",
        "clip", "seconds", "words", "sub", "del", "ins", "gap", "WER", "CPU/s"
    );
    for c in &result.clips {
        let e = &c.errors;
        println!(
            "{:<28} {:>7.2} {:>5} {:>4} {:>4} {:>4} {:>4} {:>7.3} {:>7.3}",
            c.clip,
            c.seconds,
            e.words,
            e.substitutions,
            e.deletions,
            e.insertions,
            c.longest_gap,
            e.rate(),
            c.cpu_s / c.seconds
        );
        if texts {
            println!(
                "  ref {}\n  hyp {}\n  txt {}",
                c.reference, c.hypothesis, c.text
            );
        }
    }
    let e = &result.errors;
    println!(
        "{:<28} {:>7.2} {:>5} {:>4} {:>4} {:>4} {:>4} {:>7.4} {:>7.3}",
        "all",
        result.seconds,
        e.words,
        e.substitutions,
        e.deletions,
        e.insertions,
        result
            .clips
            .iter()
            .map(|c| c.longest_gap)
            .max()
            .unwrap_or(0),
        result.word_error_rate,
        result.cpu_per_second
    );
}
