//! `speakr-bench bus`: from a command to its event, on a real platform, nothing decoded.

use std::time::{Duration, Instant};

use speakr_bench::load::{Client, Failure, ms, percentile};
use speakr_contract::{
    AudioData,
    commands::{RecordingCancel, RecordingStart, TranscriptionRun},
    ids,
};
use speakr_nats::Request;
use speakr_testkit::platform::{Options, Platform};
use uuid::Uuid;

/// How long one event may take before something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rounds; the first tenth warms up and doesn't count.
    #[arg(long, default_value_t = 300)]
    rounds: usize,
    /// Fail when more than one in twenty commands takes longer than this until its event.
    #[arg(long, default_value_t = 20.0)]
    budget_ms: f64,
}

pub(crate) fn run(args: &Args) -> Result<bool, super::Failure> {
    let platform = Platform::start(&Options::default())?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime
        .block_on(measure(args, &platform))
        .map_err(|e| e as super::Failure)
}

async fn measure(args: &Args, platform: &Platform) -> Result<bool, Failure> {
    let client = Client::connect(platform).await?;
    let (mut starts, mut cancels, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    let silence = silence();
    for _ in 0..args.rounds {
        let request = Request::new(Uuid::new_v4());
        let id = ids::recording_id(request.correlation_id);
        let began = Instant::now();
        client.send(&RecordingStart::default(), &request).await?;
        let started = client.hear(id, "recording.started", PATIENCE).await?;
        starts.push(started - began);
        let began = Instant::now();
        let cancel = RecordingCancel { recording_id: id };
        client.send(&cancel, &request).await?;
        let cancelled = client.hear(id, "recording.cancelled", PATIENCE).await?;
        cancels.push(cancelled - began);

        let request = Request::new(Uuid::new_v4());
        let id = ids::recording_id(request.correlation_id);
        let run = TranscriptionRun {
            audio_data: Some(AudioData(silence.clone())),
            ..TranscriptionRun::default()
        };
        let began = Instant::now();
        client.send(&run, &request).await?;
        let made = client.hear(id, "transcription.succeeded", PATIENCE).await?;
        runs.push(made - began);
    }
    println!("{} rounds, one command at a time", args.rounds);
    println!("{:<46}{:>9}{:>9}{:>9}", "ms", "median", "p95", "most");
    let mut worst: f64 = 0.0;
    for (name, times, counts) in [
        ("start to started", &starts, true),
        ("cancel to cancelled, all of it deleted", &cancels, true),
        ("silence to succeeded, kept in the store", &runs, false),
    ] {
        let times = times.get(args.rounds / 10..).unwrap_or_default();
        let p95 = ms(percentile(times, 0.95));
        println!(
            "{name:<46}{:>9.1}{p95:>9.1}{:>9.1}",
            ms(percentile(times, 0.5)),
            ms(percentile(times, 1.0))
        );
        if counts {
            worst = worst.max(p95);
        }
    }
    if worst > args.budget_ms {
        eprintln!(
            "one command in twenty took {worst:.1} ms or more, over {} ms",
            args.budget_ms
        );
    }
    Ok(worst <= args.budget_ms)
}

/// A second of nothing, as a WAV file: there is no speech in it to decode.
fn silence() -> Vec<u8> {
    speakr_bench::sound::wav(&[0; 16_000])
}
