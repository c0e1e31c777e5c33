//! `speakr-bench latency`.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use speakr_bench::{latency::median, manifest, program, sound};

use super::Failure;

/// Seconds of speech that end every sound.
const LAST_S: u64 = 30;
/// Seconds that the speaker would go on, if nobody stopped the recording.
const BEYOND_S: u64 = 5;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The program; the one beside this if absent.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Folder with manifest.tsv and WAV files; they are played one after the other.
    #[arg(long, env = "SPEAKR_SPEECH_DIR")]
    speech: PathBuf,
    /// Speech model, by the name that the program knows it by; the bundled one if absent.
    #[arg(long)]
    model: Option<String>,
    /// Seconds of speech before the speaker stops.
    #[arg(long, value_delimiter = ',', default_value = "30,60,90")]
    after: Vec<u64>,
    /// Stops for each of them, each half a second later than the one before.
    #[arg(long, default_value_t = 5)]
    rounds: u64,
    /// Highest median in milliseconds; above, the command fails.
    #[arg(long)]
    limit_ms: Option<f64>,
    /// Fail where it takes so much longer after the longest speech than after the shortest, which
    /// ends with the same words: the wait must not grow with what was said.
    #[arg(long)]
    growth_ms: Option<f64>,
    /// Write all figures as JSON here.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One stop.
#[derive(Debug, Clone, Copy, Serialize)]
struct Stop {
    /// After so many seconds of speech …
    after_s: u64,
    /// … and half a second more for each round before.
    round: u64,
    /// From the call of the program until it said that it records.
    start_ms: f64,
    /// From the stop to the text, as the program tells it.
    latency_ms: f64,
}

/// `after` seconds of speech and some more. The last ones, in which the speaker stops, are the same
/// whatever came before them, so that lengths can be compared: half a second more of them each
/// round.
fn spoken(pcm: &[i16], after: u64, round: u64) -> Vec<i16> {
    let seconds = |s: u64| (s * 16_000) as usize;
    let last = after.min(LAST_S);
    let end = seconds(last) + (round * 8_000) as usize;
    let before = pcm.iter().cycle().skip(end).take(seconds(after - last));
    before
        .chain(pcm.iter().cycle().take(end + seconds(BEYOND_S)))
        .copied()
        .collect()
}

/// Measures and prints. `false`: a median is above its limit.
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
    let beside = std::env::current_exe()?.with_file_name("speakr");
    let program = args.program.as_deref().unwrap_or(&beside);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("spoken.wav");
    let mut stops: Vec<Stop> = Vec::new();
    let mut medians = Vec::new();
    println!("from the stop to the text, as `speakr record` tells it");
    println!(
        "{:>9} {:>10} {:>10} {:>10} {:>16}",
        "after s", "median ms", "least ms", "most ms", "until it records"
    );
    // One after the other in each round, so that a machine that gets slower does so for all of them.
    for round in 0..args.rounds {
        for &after in &args.after {
            eprintln!("round {} of {}: {after} s", round + 1, args.rounds);
            std::fs::write(&file, sound::wav(&spoken(&pcm, after, round)))?;
            let recorder = Recorder {
                program,
                home: &folder.path().join("home"),
                model: args.model.as_deref(),
            };
            stops.push(recorder.stop_after(&file, after, round)?);
        }
    }
    for &after in &args.after {
        let of = |figure: fn(&Stop) -> f64| -> Vec<f64> {
            let those = stops.iter().filter(|stop| stop.after_s == after);
            those.map(figure).collect()
        };
        let (found, starts) = (of(|stop| stop.latency_ms), of(|stop| stop.start_ms));
        let least = found.iter().copied().fold(f64::INFINITY, f64::min);
        let most = found.iter().copied().fold(0.0, f64::max);
        let (median, start) = (median(found), median(starts));
        medians.push(median);
        println!("{after:>9} {median:>10.0} {least:>10.0} {most:>10.0} {start:>16.0}");
    }
    let growth = growth_ms(&stops, &args.after);
    if let (Some(growth), [first, .., last]) = (growth, args.after.as_slice()) {
        println!(
            "after {last} s less after {first} s, each with the same last words: {growth:+.0} ms (median)"
        );
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&stops)?)?;
    }
    Ok(keeps_limits(args, &medians, growth))
}

/// How much longer the text takes after the longest speech than after the shortest, in the middle of
/// the rounds: the sound of a round ends with the same words, so that the two differ in length alone.
fn growth_ms(stops: &[Stop], after: &[u64]) -> Option<f64> {
    let [first, .., last] = after else {
        return None;
    };
    let of = |length: u64, round: u64| {
        let mut those = stops.iter();
        those.find(|stop| stop.after_s == length && stop.round == round)
    };
    let grown: Vec<f64> = stops
        .iter()
        .filter(|stop| stop.after_s == *first)
        .filter_map(|short| Some(of(*last, short.round)?.latency_ms - short.latency_ms))
        .collect();
    (!grown.is_empty()).then(|| median(grown))
}

fn keeps_limits(args: &Args, medians: &[f64], growth: Option<f64>) -> bool {
    let mut keeps = true;
    for (after, median) in args.after.iter().zip(medians) {
        if args.limit_ms.is_some_and(|limit| *median > limit) {
            eprintln!("error: after {after} s of speech the text takes {median:.0} ms");
            keeps = false;
        }
    }
    if let (Some(limit), Some(growth)) = (args.growth_ms, growth)
        && growth > limit
    {
        eprintln!("error: the wait grows with the speech: by {growth:.0} ms");
        keeps = false;
    }
    keeps
}

/// The program, as it is called.
struct Recorder<'a> {
    program: &'a Path,
    home: &'a Path,
    model: Option<&'a str>,
}

/// A child that doesn't outlive the measurement.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Recorder<'_> {
    fn command(&self, word: &str) -> Command {
        let mut command = program::call(self.program, self.home);
        command.args([word, "--json"]).stdin(Stdio::null());
        command
    }

    /// Records `sound`, and stops it from outside after `after_s` seconds and half of one for each
    /// round before, as a global shortcut would. The clipboard, which isn't this bench's, is left
    /// alone.
    fn stop_after(&self, sound: &Path, after_s: u64, round: u64) -> Result<Stop, Failure> {
        #[derive(Deserialize)]
        struct Told {
            text: String,
            latency_ms: f64,
        }
        let mut record = self.command("record");
        record
            .arg("--no-clipboard")
            .arg(format!("--device=file:{}", sound.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(model) = self.model {
            record.args(["--model", model]);
        }
        let called = Instant::now();
        let mut child = Killed(record.spawn()?);
        let stderr = child.0.stderr.take().ok_or("its messages can't be read")?;
        let mut said = String::new();
        let mut lines = BufReader::new(stderr);
        while !said.contains("Recording") {
            if lines.read_line(&mut said)? == 0 {
                return Err(format!("{} didn't record: {said}", self.program.display()).into());
            }
        }
        let start_ms = called.elapsed().as_secs_f64() * 1_000.0;
        // Read on: a pipe that is full would hold it up.
        let messages = thread::spawn(move || {
            let mut rest = String::new();
            lines.read_to_string(&mut rest).ok();
            rest
        });
        thread::sleep(Duration::from_secs(after_s) + Duration::from_millis(500 * round));
        let stopped = self.command("stop").stdout(Stdio::null()).status()?;
        let mut printed = String::new();
        if let Some(stdout) = &mut child.0.stdout {
            stdout.read_to_string(&mut printed)?;
        }
        let status = child.0.wait()?;
        let messages = messages.join().unwrap_or_default();
        if !stopped.success() || !status.success() {
            return Err(format!("it ended with {status}: {messages}").into());
        }
        let told: Told = serde_json::from_str(&printed)?;
        if told.text.is_empty() {
            return Err("it heard nothing".into());
        }
        Ok(Stop {
            after_s,
            round,
            start_ms,
            latency_ms: told.latency_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(after_s: u64, round: u64, latency_ms: f64) -> Stop {
        Stop {
            after_s,
            round,
            start_ms: 0.0,
            latency_ms,
        }
    }

    #[test]
    fn growth_is_between_sounds_that_end_with_the_same_words() {
        let stops = [
            stop(30, 0, 200.0),
            stop(90, 0, 210.0),
            stop(30, 1, 500.0),
            stop(90, 1, 480.0),
            stop(30, 2, 300.0),
            stop(90, 2, 305.0),
        ];
        assert_eq!(growth_ms(&stops, &[30, 60, 90]), Some(5.0));
        assert_eq!(growth_ms(&stops, &[30]), None);
    }

    #[test]
    fn the_last_words_are_the_same_whatever_came_before() {
        let pcm: Vec<i16> = (0..200 * 16_000).map(|i| (i / 160) as i16).collect();
        let until = |after: u64, round| {
            let sound = spoken(&pcm, after, round);
            let stop = (after * 16_000 + round * 8_000) as usize;
            sound[stop - 30 * 16_000..stop].to_vec()
        };
        assert_eq!(until(30, 1), until(90, 1));
    }
}
