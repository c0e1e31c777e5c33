//! What becomes of a recording when its sound has ended: kept with its text, or thrown away.

use std::time::Duration;

use serde::Serialize;
use speakr_core::{
    Recording, RecordingState, Transcript,
    ports::{archive::ArchiveError, clipboard::Clipboard},
    usecases::capture::{CaptureEnd, Captured},
};
use speakr_local::TranscriptionLock;

use super::{RecordArgs, Session, listener::TranscriptEvent, no_microphone};
use crate::{
    commands::{
        list,
        retry::{Retry, Turn},
    },
    control::Phase,
    failure::{ExitCode, Failure, chain},
    output::clock,
    speech::Made,
    terminal::State,
};

/// How long the platform may take to hear that a recording is thrown away.
const TAKEN_BACK_WITHIN: Duration = Duration::from_secs(8);

/// What `record --json` prints.
#[derive(Serialize)]
struct RecordJson<'a> {
    #[serde(flatten)]
    transcript: &'a Transcript,
    /// From the stop to the text (on the clipboard, where it goes there).
    latency_ms: u64,
}

impl Session<'_> {
    /// Waits for the text, keeps it, copies and prints it.
    pub(super) async fn finish(
        &mut self,
        args: &RecordArgs,
        captured: Captured,
    ) -> Result<(), Failure> {
        let output = self.app.output;
        let id = self.recording.recording_id;
        if matches!(captured.end, CaptureEnd::Cancelled) || self.discard.is_cancelled() {
            return self.throw_away().await;
        }
        if captured.samples == 0 {
            return self.nothing_came(captured.end).await;
        }
        self.board.set_phase(Phase::Transcribing);
        self.view.set_state(State::Transcribing);
        let duration_ms = Some(captured.duration_ms());
        let described = self
            .describe(move |recording| {
                recording.duration_ms = duration_ms;
                recording.state = RecordingState::Captured;
            })
            .await;
        // From here on another recording may begin; this one's text has a lock of its own.
        let text_lock = match TranscriptionLock::acquire(self.app.home(), id) {
            Ok(lock) => {
                self.lock = None;
                Some(lock)
            }
            Err(error) => {
                tracing::warn!(%error, "no other recording begins until this one is done");
                None
            }
        };

        let trouble =
            trouble(captured.end, captured.samples).or_else(|| described.err().map(Failure::from));
        let made = match self.text.take() {
            Some(text) => text.await.unwrap_or_else(|e| {
                Err(Failure::new(
                    ExitCode::Failed,
                    format!("the making of the text broke: {e}"),
                ))
            }),
            None => Err(Failure::new(
                ExitCode::Failed,
                "the making of the text never began",
            )),
        };
        if self.discard.is_cancelled() {
            if let Ok(Made::There(spoken)) = &made {
                self.app.delete_there(spoken.there).await;
            }
            return self.throw_away().await;
        }
        let made = match made {
            Ok(made) => made,
            Err(failure) => {
                self.view.close();
                return Err(self.without_text(failure).await);
            }
        };
        let transcript = made.transcript(&self.recording);
        // The text is safe on disk before anything else is done with it.
        let kept = self.app.keep(&mut self.recording, &transcript).await;
        self.view.close();
        let copied = if transcript.text.is_empty() {
            output.say("No speech was heard.");
            false
        } else {
            self.copy(args, &transcript.text).await
        };
        let latency_ms = self.stopped_at.get().map_or(0, |at| {
            u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)
        });
        let result = RecordJson {
            transcript: &transcript,
            latency_ms,
        };
        if args.stream {
            output.print_json(&TranscriptEvent::of(&result))?;
        } else if output.is_json() {
            output.print_json(&result)?;
        } else if !transcript.text.is_empty() {
            output.print(&transcript.text)?;
        }
        if copied {
            output.say("Copied to clipboard.");
        }
        if let Some(doubt) = made.doubt() {
            output.warn(&doubt);
        }
        if let Err(failure) = kept {
            let again = format!(
                "The sound is kept: with room on the disk, `speakr retry {}` makes its text again.",
                id.short()
            );
            return Err(failure.hint(again));
        }
        if let Made::There(spoken) = &made {
            if self.is_discarded_at_last().await {
                self.app.delete_there(spoken.there).await;
                return self.throw_away().await;
            }
            self.app.hand_over(id).await;
            drop(text_lock);
            output.say(&format!(
                "Saved on the platform as {} ({}).",
                spoken.there.short(),
                clock(transcript.duration_ms)
            ));
            self.pick_up().await;
            return trouble.map_or(Ok(()), Err);
        }
        let settled = self.app.settle(&self.recording, &transcript).await;
        drop(text_lock);
        if let Err(failure) = settled {
            output.warn(&format!(
                "the text is kept, but can't be found yet: {failure}"
            ));
        }
        if self.is_discarded_at_last().await {
            return self.throw_away().await;
        }
        output.say(&format!(
            "Saved as {} ({}).",
            id.short(),
            clock(transcript.duration_ms)
        ));
        self.pick_up().await;
        trouble.map_or(Ok(()), Err)
    }

    /// Changes the description, here and in the archive: here also where the archive doesn't take
    /// it. What others have written there meanwhile stays.
    async fn describe(
        &mut self,
        change: impl Fn(&mut Recording) + Send + Sync + 'static,
    ) -> Result<(), ArchiveError> {
        change(&mut self.recording);
        let id = self.recording.recording_id;
        self.recording = self.archive.amend(id, Box::new(change)).await?;
        Ok(())
    }

    /// Whether the recording was to be thrown away, before it is too late for that: no request is
    /// taken from here on, and none that was answered is left undone.
    async fn is_discarded_at_last(&mut self) -> bool {
        if let Some(server) = self.server.take() {
            server.close().await;
        }
        self.discard.is_cancelled()
    }

    /// Makes the text of recordings that were interrupted before this one began. Each is tried
    /// once on its own account: one that fails waits for `speakr retry`.
    async fn pick_up(&mut self) {
        let Some(interrupted) = self.interrupted.take() else {
            return;
        };
        let ids = match interrupted.await {
            Ok(Ok(ids)) => ids,
            Ok(Err(failure)) => {
                tracing::warn!(%failure, "can't look for interrupted recordings");
                return;
            }
            Err(_) => return,
        };
        let output = self.app.output;
        let mut retry = Retry::new(self.app, None, self.interrupt.clone());
        for id in ids {
            // Nobody is told of one that another process is at, or that has its text by now.
            let picked_up = match retry.take(id, false).await {
                Ok(Turn::Mine(held)) => {
                    output.say(&format!(
                        "Recording {} was interrupted; its sound is kept, and its text is made now.",
                        id.short()
                    ));
                    retry.make(held).await
                }
                Ok(Turn::Kept(_) | Turn::Busy(_) | Turn::Gone) => continue,
                Err(failure) => Err(failure),
            };
            match picked_up {
                Ok(entry) => output.say(&list::line(&entry.into(), None)),
                Err(failure) => {
                    output.warn(&format!(
                        "{}: {failure}; `speakr retry` tries again",
                        id.short()
                    ));
                }
            }
            if self.interrupt.is_cancelled() {
                return;
            }
        }
        if let Err(failure) = retry.tidy_up().await {
            tracing::warn!(%failure, "what others left undone stays undone");
        }
    }

    async fn copy(&self, args: &RecordArgs, text: &str) -> bool {
        if args.no_clipboard || !self.app.settings.clipboard {
            return false;
        }
        match self.app.clipboard().set_text(text).await {
            Ok(()) => true,
            Err(error) => {
                self.app
                    .output
                    .warn(&format!("not copied: {}", chain(&error)));
                false
            }
        }
    }

    async fn throw_away(&mut self) -> Result<(), Failure> {
        self.interrupt.cancel();
        self.is_discarded_at_last().await;
        if self.app.has_platform()
            && let Some(text) = self.text.take()
        {
            // It tells the platform.
            drop(tokio::time::timeout(TAKEN_BACK_WITHIN, text).await);
        }
        self.view.close();
        self.app.delete(self.recording.recording_id).await?;
        Err(Failure::new(ExitCode::Cancelled, "recording discarded"))
    }

    /// A recording without a single sample is none.
    async fn nothing_came(&mut self, end: CaptureEnd) -> Result<(), Failure> {
        self.interrupt.cancel();
        self.view.close();
        self.app.delete(self.recording.recording_id).await?;
        Err(match end {
            CaptureEnd::SourceBroke(error) => no_microphone(error),
            CaptureEnd::ArchiveFailed(error) => error.into(),
            _ => Failure::new(ExitCode::Failed, "no sound came from the microphone").hint(
                "`speakr devices` lists the microphones, `speakr doctor` looks for the cause",
            ),
        })
    }

    /// The text failed or was interrupted: the sound stays, and the sentence says how to go on.
    async fn without_text(&mut self, failure: Failure) -> Failure {
        if failure.code() != ExitCode::Cancelled {
            let reason = failure.message().to_owned();
            let described = self
                .describe(move |recording| {
                    recording.state = RecordingState::Failed;
                    recording.error = Some(reason.clone());
                })
                .await;
            if let Err(error) = described {
                self.app.output.warn(&chain(&error));
            } else if let Ok(library) = self.app.library().await
                && let Err(error) = library.announce(&self.recording).await
            {
                tracing::warn!(error = chain(&error), "listed as it was before");
            }
        }
        let id = self.recording.recording_id.short();
        let again = if self.app.has_platform() {
            "sends it again"
        } else {
            "makes its text"
        };
        failure.hint(format!("The sound is kept: `speakr retry {id}` {again}."))
    }
}

/// What went wrong with the capture itself, although its sound is kept.
fn trouble(end: CaptureEnd, samples: u64) -> Option<Failure> {
    let kept = clock(speakr_core::audio::samples_to_ms(samples));
    let failure = match end {
        CaptureEnd::SourceBroke(error) => Failure::from(error),
        CaptureEnd::ArchiveFailed(error) => Failure::from(error),
        _ => return None,
    };
    Some(failure.hint(format!("The first {kept} of the recording are kept.")))
}
