//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use jiff::{SignedDuration, Span, Timestamp, ToSpan, Zoned, civil};
use speakr_core::{
    Language,
    ports::speech::{DecodeOptions, Task},
    recording::Tags,
};

use crate::commands;

/// What `--help` says after the options.
const EXIT_CODES: &str = "Exit codes:
  0    done
  1    something failed (of several inputs, at least one)
  2    the command line or the configuration is wrong
  3    no such recording or model, or nothing was found
  4    something needed is missing here (ffmpeg, a microphone, a model)
  5    another speakr is at it
  130  cancelled

Without a command, speakr records: Enter stops, and the text is on the clipboard.";

/// Speak, and have text: on your clipboard, saved, and findable by meaning.
#[derive(Debug, Parser)]
#[command(name = "speakr", version, about, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(flatten)]
    pub(crate) record: commands::record::RecordArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct GlobalArgs {
    /// Print results as JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// The folder of recordings, index and pulled models
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        help_heading = "Global options"
    )]
    pub(crate) home: Option<PathBuf>,
    /// The configuration file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(crate) config: Option<PathBuf>,
    /// Servers of the platform that makes and keeps the text (also NATS_URL)
    #[arg(
        long,
        global = true,
        value_name = "URL",
        conflicts_with = "local",
        help_heading = "Global options"
    )]
    pub(crate) nats_url: Option<String>,
    /// Work alone, although a platform is set up
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) local: bool,
    /// Also take model files whose digest isn't the registry's; they are read by native code, so
    /// only files from someone you trust
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) allow_unverified: bool,
    /// Log more to standard error (-v info, -vv debug, -vvv all)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
    /// No messages but warnings and errors
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Record from the microphone, then have the text (what `speakr` alone does)
    Record(commands::record::RecordArgs),
    /// End the running recording from another shell; its text is made
    Stop,
    /// Throw the running recording away, also while its text is being made
    Cancel,
    /// Pause the running recording, or go on
    Pause,
    /// Make text from files, folders or standard input
    Transcribe(commands::transcribe::TranscribeArgs),
    /// Find what was said, by meaning and by words
    Search(commands::search::SearchArgs),
    /// List recordings, newest first
    List(commands::list::ListArgs),
    /// Show one recording's text
    Show(commands::show::ShowArgs),
    /// Write one recording's text as txt, srt, vtt, json or tsv
    Export(commands::export::ExportArgs),
    /// Add or remove tags
    Tag(commands::tag::TagArgs),
    /// Delete recordings for good: sound, text and vectors
    Rm(commands::rm::RmArgs),
    /// Make the text of recordings that were interrupted or failed
    Retry(commands::retry::RetryArgs),
    /// Make the index anew from the folder of recordings
    Reindex,
    /// Play one recording's sound
    Play(commands::play::PlayArgs),
    /// Serve the library and transcription over HTTP, to this machine
    Serve(commands::serve::ServeArgs),
    /// List the microphones
    Devices,
    /// Check what speakr needs of this machine, and say how to mend what is missing
    Doctor,
    /// Show the settings and where each comes from
    Config(commands::config::ConfigArgs),
    /// Keep the token of a platform's query API in the system's keychain
    Token(commands::token::TokenArgs),
    /// List, pull, verify and remove models
    Models(commands::models::ModelsArgs),
    /// Print a shell's completions
    Completions(commands::completions::CompletionsArgs),
    /// Print the manual page, or write all of them into a folder
    Man(commands::man::ManArgs),
}

impl Command {
    /// The command's name where it asks a platform for something, if one is set up.
    pub(crate) const fn asks_a_platform(&self) -> Option<&'static str> {
        match self {
            Self::Record(_) => Some("record"),
            Self::Transcribe(_) => Some("transcribe"),
            Self::Search(_) => Some("search"),
            Self::List(_) => Some("list"),
            Self::Show(_) => Some("show"),
            Self::Export(_) => Some("export"),
            Self::Tag(_) => Some("tag"),
            Self::Rm(_) => Some("rm"),
            Self::Retry(_) => Some("retry"),
            Self::Play(_) => Some("play"),
            Self::Stop
            | Self::Cancel
            | Self::Pause
            | Self::Reindex
            | Self::Serve(_)
            | Self::Devices
            | Self::Doctor
            | Self::Config(_)
            | Self::Token(_)
            | Self::Models(_)
            | Self::Completions(_)
            | Self::Man(_) => None,
        }
    }
}

/// What to ask of the decoder.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub(crate) struct DecodeArgs {
    /// The speech model (see `speakr models list`)
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// The language spoken, as a code such as `de`; detected where absent
    #[arg(long, short, value_name = "CODE")]
    pub(crate) language: Option<String>,
    /// Write English, whatever language is spoken (wants a multilingual model)
    #[arg(long)]
    pub(crate) translate: bool,
    /// Words and names to expect, in the style to write in
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// A file with words and names to expect, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) vocabulary: Option<PathBuf>,
    /// Give every word its own times (in json)
    #[arg(long)]
    pub(crate) word_timestamps: bool,
}

impl DecodeArgs {
    /// The decoder's options, with the configured model and language where the command line
    /// names none, and `vocabulary` (the file's words) joined to the prompt.
    pub(crate) fn options(
        &self,
        model: Option<&str>,
        language: Option<&str>,
        vocabulary: Option<&str>,
    ) -> DecodeOptions {
        let prompt = match (self.prompt.as_deref(), vocabulary) {
            (Some(prompt), Some(words)) => Some(format!("{prompt} {words}")),
            (Some(text), None) | (None, Some(text)) => Some(text.to_owned()),
            (None, None) => None,
        };
        DecodeOptions {
            model: self.model.as_deref().or(model).map(str::to_owned),
            language: self
                .language
                .as_deref()
                .or(language)
                .filter(|code| !code.eq_ignore_ascii_case("auto"))
                .map(Language::new),
            task: if self.translate {
                Task::Translate
            } else {
                Task::Transcribe
            },
            prompt,
            word_timestamps: self.word_timestamps,
        }
    }
}

/// Which recordings a listing or search looks at.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FilterArgs {
    /// Only recordings with all of these tags
    #[arg(long, short, value_name = "A,B", value_delimiter = ',')]
    pub(crate) tags: Vec<String>,
    /// Only from this time on: a date, a time, or an age such as `3d` or `2 weeks`
    #[arg(long, value_name = "WHEN", value_parser = parse_time)]
    pub(crate) since: Option<Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "WHEN", value_parser = parse_time)]
    pub(crate) until: Option<Timestamp>,
}

impl FilterArgs {
    /// The filter as the index takes it.
    pub(crate) fn filter(&self) -> speakr_core::ports::index::Filter {
        speakr_core::ports::index::Filter {
            tags: Tags::new(&self.tags),
            since: self.since,
            until: self.until,
            ..Default::default()
        }
    }
}

/// A length of time such as `2s`, `500ms`, `1m 30s` or `1:30`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let wrong = || format!("\"{text}\" is no length of time; write it like 2s, 500ms or 1m30s");
    if let Some(ms) = parse_clock(text) {
        return Ok(Duration::from_millis(ms));
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| wrong());
    }
    let signed: SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}

/// A length of time that may be none: `off` and 0 mean that there is no limit.
pub(crate) fn parse_limit(text: &str) -> Result<Duration, String> {
    if text.trim().eq_ignore_ascii_case("off") {
        return Ok(Duration::ZERO);
    }
    parse_duration(text)
}

/// The limit that holds: that of the command line, else the one that is set; none where it is 0.
pub(crate) fn limit(asked: Option<Duration>, set: Option<Duration>) -> Option<Duration> {
    asked.or(set).filter(|limit| !limit.is_zero())
}

/// A moment in a sound as `m:ss` or `h:mm:ss`, in milliseconds; fractions of seconds are taken.
pub(crate) fn parse_clock(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let (last, before) = parts.split_last()?;
    let seconds: f64 = last
        .parse()
        .ok()
        .filter(|s: &f64| (0.0..60.0).contains(s))?;
    let mut minutes: u64 = 0;
    for part in before {
        minutes = minutes.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    minutes
        .checked_mul(60_000)?
        .checked_add((seconds * 1_000.0).round() as u64)
}

/// A time: RFC 3339, a date or date and time in the local zone, or an age (`3d`, `2 weeks ago`).
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    let zone = jiff::tz::TimeZone::system();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let now = Zoned::now();
    match text {
        "today" | "yesterday" => {
            let day = if text == "today" {
                now.date()
            } else {
                now.date().saturating_sub(1.day())
            };
            return day
                .to_zoned(zone)
                .map(|z| z.timestamp())
                .map_err(|e| e.to_string());
        }
        _ => {}
    }
    if let Ok(at) = text.parse::<civil::DateTime>() {
        return at
            .to_zoned(zone)
            .map(|z| z.timestamp())
            .map_err(|e| e.to_string());
    }
    if let Ok(day) = text.parse::<civil::Date>() {
        return day
            .to_zoned(zone)
            .map(|z| z.timestamp())
            .map_err(|e| e.to_string());
    }
    let age: Span = text.trim_end_matches("ago").trim().parse().map_err(|_| {
        format!("\"{text}\" is no time; write a date (2026-11-23), a time (2026-11-23T08:00) or an age (3d)")
    })?;
    now.checked_sub(age.abs())
        .map(|z| z.timestamp())
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lengths_of_time_are_read_in_the_ways_people_write_them() {
        for (text, ms) in [
            ("2s", 2_000),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1m 30s", 90_000),
            ("1:30", 90_000),
            ("2", 2_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(ms)),
                "{text}"
            );
        }
        for wrong in ["", "soon", "-2s", "-1", "1:99", "9e99"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_limit_of_nothing_is_none_and_lifts_the_one_that_is_set() {
        let hour = Some(Duration::from_secs(3_600));
        for none in ["0", "0s", "off", "OFF"] {
            assert_eq!(limit(parse_limit(none).ok(), hour), None, "{none}");
        }
        assert_eq!(limit(None, hour), hour);
        assert_eq!(
            limit(parse_limit("2s").ok(), hour),
            Some(Duration::from_secs(2))
        );
        assert!(parse_limit("soon").is_err());
    }

    #[test]
    fn moments_are_read_as_clocks() {
        assert_eq!(parse_clock("1:23"), Some(83_000));
        assert_eq!(parse_clock("1:00:00.5"), Some(3_600_500));
        assert_eq!(parse_clock("83"), None);
        assert_eq!(parse_clock("1:2:3:4"), None);
    }

    #[test]
    fn times_are_read_as_dates_and_as_ages() {
        let three_days = parse_time("3d").unwrap();
        let age = Timestamp::now().duration_since(three_days);
        assert!((age.as_hours() - 72).abs() <= 1);
        assert!(parse_time("2 weeks ago").unwrap() < three_days);
        assert!(parse_time("2020-02-30").is_err());
        assert!(parse_time("2020-02-29").unwrap() < three_days);
        assert!(parse_time("today").unwrap() > parse_time("yesterday").unwrap());
    }

    #[test]
    fn an_automatic_language_is_one_that_is_detected() {
        let args = DecodeArgs {
            language: Some("auto".into()),
            ..DecodeArgs::default()
        };
        assert_eq!(args.options(Some("m"), Some("de"), None).language, None);
    }
}
