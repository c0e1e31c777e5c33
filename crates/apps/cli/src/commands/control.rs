//! `speakr stop`, `speakr cancel`, `speakr pause`: what another shell says to a recording.

use crate::{
    compose::App,
    control::{self, Phase, Request, Status},
    failure::{ExitCode, Failure},
    output::clock,
};

/// Sends `request` to the running recording and tells what it did.
pub(crate) async fn run(app: &App, request: Request) -> Result<(), Failure> {
    let status = control::send(app.home(), request)
        .await
        .map_err(|e| {
            Failure::new(
                ExitCode::Failed,
                format!("the recording can't be reached: {e}"),
            )
        })?
        .ok_or_else(|| {
            Failure::new(ExitCode::NotFound, "nothing is being recorded")
                .hint("`speakr retry` makes the text of a recording that was interrupted")
        })?;
    if app.output.is_json() {
        return app.output.print_json(&status);
    }
    app.output.say(&sentence(request, &status));
    Ok(())
}

fn sentence(request: Request, status: &Status) -> String {
    let length = clock(status.duration_ms);
    let id = status.recording_id.get(..8).unwrap_or(&status.recording_id);
    match (request, status.phase) {
        (Request::Cancel, _) => format!("Discarding recording {id} ({length})"),
        (_, Phase::Transcribing) => {
            format!("Recording {id} ({length}) has ended; its text is being made")
        }
        (Request::Stop, _) => format!("Stopping recording {id} ({length})"),
        (Request::Pause, Phase::Recording) => format!("Pausing recording {id} at {length}"),
        (Request::Pause, Phase::Paused) => format!("Recording {id} goes on at {length}"),
    }
}
