//! `speakr-bench length`.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use speakr_bench::{manifest, process_cpu, program};

use super::Failure;

/// How often the memory in use is looked at. The system remembers the peak itself, as long as the
/// process is there.
const LOOKS_EVERY: Duration = Duration::from_millis(200);

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The program; the one beside this if absent.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Folder with manifest.tsv and WAV files; they are played one after the other, again and
    /// again.
    #[arg(long, env = "SPEAKR_SPEECH_DIR")]
    speech: PathBuf,
    /// Minutes of speech.
    #[arg(long, default_value_t = 180)]
    minutes: usize,
    /// Fail above this peak, in MB.
    #[arg(long, default_value_t = 500.0)]
    limit_mb: f64,
}

/// Transcribes and keeps a long file that is full of speech. `false`: it took too much memory.
pub(crate) fn run(args: &Args) -> Result<bool, Failure> {
    let beside = std::env::current_exe()?.with_file_name("speakr");
    let program = args.program.as_deref().unwrap_or(&beside);
    let scratch = tempfile::tempdir()?;
    let sound = scratch.path().join("long.wav");
    let said = write(&sound, args)?;

    let start = Instant::now();
    let mut child = program::call(program, &scratch.path().join("home"))
        .args(["transcribe", "--json"])
        .arg(&sound)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdout = child.stdout.take().ok_or("its text can't be read")?;
    let text = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let peak_mb = peak(&mut child)?;
    let printed = text.join().map_err(|_| "its text can't be read")??;
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("{} ended with {status}", program.display()).into());
    }
    let took = start.elapsed().as_secs_f64();
    let transcript: Value = serde_json::from_str(&printed)?;
    let heard = transcript["text"].as_str().unwrap_or_default();
    let heard = heard.split_whitespace().count();
    println!("minutes of speech            {:>8}", args.minutes);
    println!("words said, and heard        {said:>8} {heard:>8}");
    println!("seconds                      {took:>8.0}");
    println!("peak memory, MB              {peak_mb:>8.0}");
    // Whisper writes numbers in digits, so a few words less are none less.
    let complete = heard as f64 > said as f64 * 0.9;
    if !complete {
        eprintln!("error: {heard} words were heard of {said}");
    }
    if peak_mb > args.limit_mb {
        eprintln!("error: more than {} MB", args.limit_mb);
    }
    Ok(complete && peak_mb <= args.limit_mb)
}

/// Writes the speech; gives its number of words.
fn write(path: &Path, args: &Args) -> Result<usize, Failure> {
    let mut clips = Vec::new();
    for clip in manifest::read(&args.speech)? {
        if clip.language == "en" {
            let words = clip.transcript.split_whitespace().count();
            clips.push((clip.pcm()?, words));
        }
    }
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    let (mut left, mut said) = (args.minutes * 60 * 16_000, 0);
    for (pcm, words) in clips.iter().cycle() {
        if left < pcm.len() {
            break;
        }
        for sample in pcm {
            writer.write_sample(*sample)?;
        }
        left -= pcm.len();
        said += words;
    }
    writer.finalize()?;
    if said == 0 {
        return Err("there is no English speech in that folder, or none so short".into());
    }
    Ok(said)
}

fn peak(child: &mut Child) -> Result<f64, Failure> {
    let mut peak_mb: f64 = 0.0;
    while child.try_wait()?.is_none() {
        peak_mb = peak_mb.max(process_cpu::peak_rss_mb_of(&child.id().to_string()));
        thread::sleep(LOOKS_EVERY);
    }
    if peak_mb == 0.0 {
        return Err("not measured: this system doesn't tell how much memory a process uses".into());
    }
    Ok(peak_mb)
}
