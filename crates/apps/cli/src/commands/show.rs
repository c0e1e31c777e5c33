//! `speakr show`.

use clap::Args;

use crate::{
    compose::App,
    failure::{ExitCode, Failure},
    output::{clock, local_time},
};

/// Which recording.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its id; the first digits do
    #[arg(value_name = "ID")]
    id: String,
}

/// Shows one recording's text.
pub(crate) async fn run(app: &App, args: &ShowArgs) -> Result<(), Failure> {
    let shelf = app.shelf().await?;
    let id = shelf.resolve(&args.id).await?;
    let transcript = shelf.transcript(id).await?.ok_or_else(|| no_text(id))?;
    if app.output.is_json() {
        return app.output.print_json(&transcript);
    }
    let mut heading = format!(
        "{}  {}  {}  {}",
        id,
        local_time(transcript.created_at),
        clock(transcript.duration_ms),
        transcript.model
    );
    if let Some(language) = &transcript.language {
        heading.push_str(&format!("  {language}"));
    }
    if !transcript.tags.is_empty() {
        heading.push_str(&format!("  [{}]", super::list::tags(&transcript.tags)));
    }
    app.output.say(&heading);
    app.output.print(&transcript.text)
}

/// The failure for a recording whose text isn't made.
pub(super) fn no_text(id: speakr_core::RecordingId) -> Failure {
    Failure::new(
        ExitCode::NotFound,
        format!("recording {} has no text yet", id.short()),
    )
    .hint(format!("`speakr retry {}` makes it", id.short()))
}
