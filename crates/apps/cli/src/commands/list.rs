//! `speakr list`.

use clap::Args;
use speakr_api::MOST_LISTED;
use speakr_core::{
    RecordingState, Tags,
    search::{ListedRecording, Listing},
};

use crate::{
    args::FilterArgs,
    compose::App,
    failure::Failure,
    output::{clock, local_time},
    shelf::Work,
};

/// What to list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most this many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// Lists recordings, newest first.
pub(crate) async fn run(app: &App, args: &ListArgs) -> Result<(), Failure> {
    let shelf = app.shelf().await?;
    shelf.warn_of_most(app.output, args.limit, MOST_LISTED);
    let listed = shelf.list(&args.filter.filter(), args.limit).await?;
    if app.output.is_json() {
        return app.output.print_json(&Listing::from(listed));
    }
    if listed.is_empty() {
        app.output
            .say("No recordings. `speakr` records one, `speakr transcribe FILE` takes a file.");
    }
    for recording in &listed {
        let work = shelf.work_on(app.home(), recording)?;
        app.output.print(&line(recording, work))?;
    }
    Ok(())
}

/// One recording in one line, with what is done to it where it has no text.
pub(crate) fn line(recording: &ListedRecording, work: Option<Work>) -> String {
    let what = match recording.state {
        RecordingState::Transcribed if recording.text.is_empty() => "(no speech)".to_owned(),
        RecordingState::Transcribed => shorten(&recording.text, 72),
        RecordingState::Captured if recording.without_text => {
            "(recorded without a text)".to_owned()
        }
        RecordingState::Capturing | RecordingState::Captured => match work {
            Some(Work::Recording) => "(being recorded)".to_owned(),
            Some(Work::Transcribing) => "(being transcribed)".to_owned(),
            None => "(interrupted: speakr retry)".to_owned(),
        },
        RecordingState::Failed => format!(
            "(failed: {}; speakr retry)",
            recording.error.as_deref().unwrap_or("no reason was kept")
        ),
    };
    let mut line = format!(
        "{}  {}  {:>7}  {what}",
        recording.recording_id.short(),
        local_time(recording.created_at),
        recording.duration_ms.map_or_else(|| "-".to_owned(), clock),
    );
    if !recording.tags.is_empty() {
        line.push_str(&format!("  [{}]", tags(&recording.tags)));
    }
    line
}

/// Tags as people type them.
pub(crate) fn tags(tags: &Tags) -> String {
    tags.iter().collect::<Vec<_>>().join(",")
}

/// The beginning of `text`, in one line.
pub(crate) fn shorten(text: &str, most_chars: usize) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(most_chars) {
        None => one_line,
        Some((cut, _)) => format!("{}…", one_line[..cut].trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use speakr_core::{
        CorrelationId, Recording,
        ports::{index::Entry, speech::DecodeOptions},
    };

    use super::*;

    #[test]
    fn a_recording_without_a_text_says_what_is_done_to_it_and_asks_for_a_retry_where_nothing_is() {
        let in_state = |state| {
            let mut recording = Recording::begin(
                CorrelationId::random(),
                Timestamp::UNIX_EPOCH,
                Tags::default(),
                DecodeOptions::default(),
            );
            recording.state = state;
            ListedRecording::from(Entry {
                recording,
                text: String::new(),
            })
        };
        let (capturing, captured) = (
            in_state(RecordingState::Capturing),
            in_state(RecordingState::Captured),
        );
        for (recording, work, said) in [
            (&capturing, Some(Work::Recording), "(being recorded)"),
            (&capturing, Some(Work::Transcribing), "(being transcribed)"),
            (&capturing, None, "(interrupted: speakr retry)"),
            (&captured, Some(Work::Transcribing), "(being transcribed)"),
            (&captured, None, "(interrupted: speakr retry)"),
        ] {
            let line = line(recording, work);
            assert!(line.ends_with(said), "{line}");
        }
        let unwanted = ListedRecording {
            without_text: true,
            ..captured
        };
        let line = line(&unwanted, Some(Work::Transcribing));
        assert!(line.ends_with("(recorded without a text)"), "{line}");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shorten("a\nb", 10), "a b");
        assert_eq!(shorten("日本語のテキスト", 3), "日本語…");
    }
}
