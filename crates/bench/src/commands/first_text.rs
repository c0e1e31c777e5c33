//! `speakr-bench first-text`: a program that has just been called, against the decode alone.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::stream;
use speakr_bench::{latency::median, manifest, program};
use speakr_core::{
    ports::speech::{DecodeOptions, SpeechEngine},
    usecases::transcribe::{Pace, Transcriber},
};
use speakr_whisper::{ModelBytes, SileroModel};
use tokio_util::sync::CancellationToken;

use super::{Failure, bundled_models, load_engine};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The program; the one beside this if absent.
    #[arg(long)]
    program: Option<PathBuf>,
    /// A WAV file of speech; the bundled jfk.wav if absent.
    #[arg(long)]
    sound: Option<PathBuf>,
    /// Processes, and decodes; medians count.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Fail when a process takes more than so many times the decode alone.
    #[arg(long, default_value_t = 1.5)]
    limit: f64,
}

/// Measures and prints. `false`: above the limit.
pub(crate) fn run(args: &Args) -> Result<bool, Failure> {
    let beside = std::env::current_exe()?.with_file_name("speakr");
    let program = args.program.as_deref().unwrap_or(&beside);
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/speech/jfk.wav");
    let sound = args.sound.as_deref().unwrap_or(&bundled);
    let threads = std::thread::available_parallelism()?.get();

    let silero = bundled_models().join("ggml-silero-v6.2.0.bin");
    let silero = SileroModel::load(&ModelBytes::File(silero))?;
    let engine = Arc::new(load_engine(
        &bundled_models().join("ggml-tiny.en-q8_0.bin"),
        threads,
    )?);
    let transcriber = Transcriber::new(
        engine as Arc<dyn SpeechEngine>,
        Box::new(move || Ok(Box::new(silero.detector()))),
    );
    let pcm = manifest::read_wav(sound)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()?;

    let (mut alone, mut cold) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let clock = Instant::now();
        runtime.block_on(transcriber.run(
            stream::iter([pcm.clone()]),
            Pace::File,
            &DecodeOptions::default(),
            &(),
            &CancellationToken::new(),
        ))?;
        alone.push(milliseconds(clock.elapsed()));
        cold.push(milliseconds(first_text(program, sound)?));
    }
    let (alone, cold) = (median(alone), median(cold));
    let ratio = cold / alone;
    println!(
        "{} with {threads} threads, medians of {}",
        sound.display(),
        args.rounds
    );
    println!("decode alone, model loaded   {alone:>8.0} ms");
    println!("new process to first text    {cold:>8.0} ms");
    println!("ratio                        {ratio:>8.2}");
    Ok(ratio <= args.limit)
}

/// From calling `program` to the first byte of text.
fn first_text(program: &Path, sound: &Path) -> Result<Duration, Failure> {
    let home = tempfile::tempdir()?;
    let clock = Instant::now();
    let mut child = program::call(program, home.path())
        .args(["transcribe", "--no-save"])
        .arg(sound)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut first = [0_u8; 1];
    let read = match &mut child.stdout {
        Some(stdout) => stdout.read(&mut first)?,
        None => 0,
    };
    let took = clock.elapsed();
    let status = child.wait()?;
    if read == 0 || !status.success() {
        return Err(format!("{} gave no text ({status})", program.display()).into());
    }
    Ok(took)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
