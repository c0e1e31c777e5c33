//! `speakr-bench throughput`: a full queue, worked on by one transcriber and by two.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use speakr_bench::{
    load::{Client, Failure},
    sound,
};
use speakr_contract::{AudioData, commands::TranscriptionRun};
use speakr_nats::Request;
use speakr_testkit::platform::{Options, Platform};
use uuid::Uuid;

/// How long the queue may stand still.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often its end is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Clips in the queue. No two are the same.
    #[arg(long, default_value_t = 1_000)]
    clips: usize,
    /// What is said in them: a WAV file of 16 kHz, mono.
    #[arg(long)]
    speech: Option<PathBuf>,
    /// Fail when two transcribers aren't so many times as fast as one.
    #[arg(long, default_value_t = 1.8)]
    least_gain: f64,
}

pub(crate) fn run(args: &Args) -> Result<bool, super::Failure> {
    let path = args.speech.clone().unwrap_or_else(|| {
        PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../assets/speech/austen-0880.wav"
        ))
    });
    let samples = sound::read(&path).map_err(|e| e as super::Failure)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut rates = Vec::new();
    println!(
        "{} clips of {:.1} s, a thread and a processor each",
        args.clips,
        samples.len() as f64 / 16_000.0
    );
    println!(
        "{:<16}{:>12}{:>18}",
        "transcribers", "seconds", "clips a second"
    );
    for transcribers in [1, 2] {
        let took = runtime
            .block_on(measure(args.clips, &samples, transcribers))
            .map_err(|e| e as super::Failure)?;
        let rate = args.clips as f64 / took.as_secs_f64();
        println!("{transcribers:<16}{:>12.1}{rate:>18.2}", took.as_secs_f64());
        rates.push(rate);
    }
    let gain = match rates.as_slice() {
        [one, two] => two / one,
        _ => 0.0,
    };
    println!("two are {gain:.2} times as fast as one");
    Ok(gain >= args.least_gain)
}

/// The time from the first text to the last, for all clips.
async fn measure(clips: usize, samples: &[i16], transcribers: usize) -> Result<Duration, Failure> {
    let mut platform = Platform::start(&Options::default())?;
    // What is measured is the transcribers; nothing else is to need the processors.
    platform.transcriber.kill();
    platform.embedder.kill();
    platform.query_svc.kill();
    let client = Client::connect(&platform).await?;
    for number in 0..clips {
        let run = TranscriptionRun {
            audio_data: Some(AudioData(sound::wav(&sound::variant(
                samples,
                number as u64,
            )))),
            ..TranscriptionRun::default()
        };
        client.send(&run, &Request::new(Uuid::new_v4())).await?;
    }
    let settings = [("SPEAKR_DECODERS", "1"), ("SPEAKR_THREADS", "1")];
    let began = Instant::now();
    let starting: Vec<_> = std::thread::scope(|scope| {
        let platform = &platform;
        let start = |cpu| scope.spawn(move || platform.another_transcriber(&settings, Some(cpu)));
        let all: Vec<_> = (0..transcribers).map(start).collect();
        all.into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect()
    });
    let mut running = Vec::new();
    for started in starting {
        running.push(started.map_err(|_| "a transcriber's start panicked")??);
    }
    let mut last_change = (0, Instant::now());
    loop {
        let made = client.all("transcription.succeeded");
        if made.len() >= clips {
            let (first, last) = (made.first(), made.last());
            let time = last.zip(first).map(|(last, first)| *last - *first);
            // The first of them took its time too.
            let one = time.unwrap_or_default() / u32::try_from(clips.max(2) - 1)?;
            return Ok(time.unwrap_or(began.elapsed()) + one);
        }
        if made.len() > last_change.0 {
            last_change = (made.len(), Instant::now());
        }
        if last_change.1.elapsed() > PATIENCE {
            return Err(format!("the queue stands still after {} clips", made.len()).into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
