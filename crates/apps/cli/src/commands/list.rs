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
        app.output.print(&line(recording))?;
    }
    Ok(())
}

/// One recording in one line.
pub(crate) fn line(recording: &ListedRecording) -> String {
    let what = match recording.state {
        RecordingState::Transcribed if recording.text.is_empty() => "(no speech)".to_owned(),
        RecordingState::Transcribed => shorten(&recording.text, 72),
        RecordingState::Capturing => "(interrupted, or still recording)".to_owned(),
        RecordingState::Captured => "(no text yet: speakr retry)".to_owned(),
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
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shorten("a\nb", 10), "a b");
        assert_eq!(shorten("日本語のテキスト", 3), "日本語…");
    }
}
