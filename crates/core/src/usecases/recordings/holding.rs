//! Start: holds a recording from its first sound to its text.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{future, stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Asked, Outcome, Recordings, Side, Start, Trouble, about,
    backlog::{Done, Feed},
    capture::{End, Source},
};
use crate::{
    Recording, RecordingId, RecordingState,
    audio::samples_to_ms,
    ports::{
        archive::{ArchiveError, SoundWriter},
        platform::{Intent, Nudges},
    },
    usecases::transcribe::Pace,
};

impl Recordings {
    /// Begins the recording that belongs to this request, or goes on with it where another
    /// replica left it, and holds it to its end.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn start(&self, asked: &Asked, start: Start) -> Result<Outcome, Trouble> {
        let id = asked.own_recording();
        about(id);
        let mut nudges = self.parts.holders.hold(id).await?;
        match self.hold(asked, id, start, nudges.as_mut()).await {
            Ok(()) => Ok(Outcome::Done),
            Err(Trouble::Cancelled | Trouble::Archive(ArchiveError::Deleted(_))) => {
                self.throw_away(asked, id).await?;
                Ok(Outcome::Done)
            }
            Err(Trouble::Ending) => Ok(Outcome::HandBack),
            Err(other) => Err(other),
        }
    }

    async fn hold(
        &self,
        asked: &Asked,
        id: RecordingId,
        start: Start,
        nudges: &mut dyn Nudges,
    ) -> Result<(), Trouble> {
        let side = start.side;
        let (cancelled, kept) =
            future::join(self.is_cancelled(id), self.parts.archive.recording(id)).await;
        if cancelled? {
            return Err(Trouble::Cancelled);
        }
        let (recording, begun) = match kept {
            Ok(recording) if recording.state != RecordingState::Capturing => {
                let intent = self.parts.intents.get(id).await?;
                return self.go_on(asked, recording, &intent, nudges).await;
            }
            // Its description was lost and made again, without what this command alone knows.
            Ok(recording) if recording.correlation_id != asked.correlation_id => {
                let told = describe(asked, start);
                let tell = move |recording: &mut Recording| {
                    recording.correlation_id = told.correlation_id;
                    recording.created_at = told.created_at;
                    recording.options = told.options.clone();
                    recording.tags.extend(&told.tags);
                    recording.metadata.extend(told.metadata.clone());
                };
                (self.parts.archive.amend(id, Box::new(tell)).await?, true)
            }
            Ok(recording) => (recording, true),
            Err(ArchiveError::NotFound(_)) => (describe(asked, start), false),
            Err(error) => return Err(error.into()),
        };
        self.check_options(&recording)?;
        let source = self.source(id, side).await?;
        let writer = async {
            if begun {
                self.writer(&recording).await
            } else {
                Ok(self.parts.archive.begin(&recording).await?)
            }
        };
        let started = asked.announcer.started(&recording);
        // Who waits for it needn't wait for the store: a client's sound is safe on the bus meanwhile.
        // That of a microphone of ours isn't: nobody speaks before it can be kept.
        let (writer, told) = match side {
            Side::Client => future::join(writer, started).await,
            Side::Host => (Ok(writer.await?), started.await),
        };
        let writer = writer?;
        told?;
        tracing::info!(known_ms = samples_to_ms(writer.samples()), "recording");
        self.record(asked, recording, source, writer, nudges).await
    }

    /// Captures, and makes the text meanwhile.
    async fn record(
        &self,
        asked: &Asked,
        mut recording: Recording,
        source: Source,
        mut writer: Box<dyn SoundWriter>,
        nudges: &mut dyn Nudges,
    ) -> Result<(), Trouble> {
        let id = recording.recording_id;
        // A microphone doesn't say again what it said before a crash: that is in the store alone.
        let heard_whole = matches!(source, Source::Client(_)) || writer.samples() == 0;
        let (sender, heard) = mpsc::unbounded_channel::<Vec<i16>>();
        let sound = stream::unfold(heard, |mut heard| async move {
            heard.recv().await.map(|pcm| (pcm, heard))
        });
        let cancel = CancellationToken::new();
        // Ends the decoder when the recording is given up.
        let _guard = cancel.clone().drop_guard();
        let (begun, sound, done) = (recording.clone(), Box::pin(sound), Done::default());
        let feed = Feed::new(sender, done.clone(), cancel.clone());
        let mut live = Live {
            decoding: Box::pin(self.decode(asked, &begun, sound, Pace::Live, done, &cancel)),
            made: None,
        };
        let end = live
            .during(self.capture(id, source, writer.as_mut(), feed, nudges))
            .await?;
        let transcribe = match end {
            End::Keep { transcribe } => transcribe,
            End::Cancelled => return Err(Trouble::Cancelled),
            End::Ending => return Err(Trouble::Ending),
        };
        let finished = live
            .during(self.finish(asked, &mut recording, writer, transcribe))
            .await?;
        if !finished {
            // What this replica heard may be less, and so would be its text.
            drop(live);
            let intent = self.parts.intents.get(id).await?;
            return self.go_on(asked, recording, &intent, nudges).await;
        }
        if !transcribe {
            return Ok(());
        }
        let fell_behind = cancel.is_cancelled();
        if !heard_whole || fell_behind {
            drop(live);
            return self.transcribe_kept(asked, &recording, nudges).await;
        }
        let made = tokio::select! {
            made = live.end() => made?,
            why = self.watch_for_cancel(id, nudges) => return Err(why),
        };
        self.deliver(asked, &recording, made).await
    }

    /// The sound was kept before, by this replica or another: the rest is done.
    async fn go_on(
        &self,
        asked: &Asked,
        recording: Recording,
        intent: &Intent,
        nudges: &mut dyn Nudges,
    ) -> Result<(), Trouble> {
        let id = recording.recording_id;
        asked.announcer.started(&recording).await?;
        self.settle(asked, &recording).await?;
        if recording.state == RecordingState::Transcribed
            && let Some(transcript) = self.parts.archive.transcript(id).await?
        {
            return Ok(asked.announcer.succeeded(&transcript).await?);
        }
        if intent.stop.as_ref().is_none_or(|stop| stop.transcribe) {
            return self.transcribe_kept(asked, &recording, nudges).await;
        }
        Ok(())
    }

    /// All sound is there: it is kept for good, and the bus is free of it. `false` where another
    /// replica has come further with it, as can be after this one was cut off; `recording` is what that
    /// one made of it then.
    async fn finish(
        &self,
        asked: &Asked,
        recording: &mut Recording,
        mut writer: Box<dyn SoundWriter>,
        transcribe: bool,
    ) -> Result<bool, Trouble> {
        let id = recording.recording_id;
        writer.sync().await?;
        let duration_ms = Some(samples_to_ms(writer.samples()));
        drop(writer);
        let intent = self.parts.intents.get(id).await?;
        let metadata = intent.stop.map(|stop| stop.metadata).unwrap_or_default();
        // Before the sound changes its form: who goes on after a crash must not wait for more.
        let was_open = Arc::new(AtomicBool::new(false));
        let seen_open = Arc::clone(&was_open);
        let captured = move |recording: &mut Recording| {
            let is_open = recording.state == RecordingState::Capturing;
            seen_open.store(is_open, Ordering::Relaxed);
            // What another replica has written is of all the sound.
            if is_open {
                recording.state = RecordingState::Captured;
                recording.duration_ms = duration_ms;
                recording.metadata.extend(metadata.clone());
                recording.without_text = !transcribe;
            }
        };
        *recording = self.parts.archive.amend(id, Box::new(captured)).await?;
        if !was_open.load(Ordering::Relaxed) {
            tracing::info!("another replica has finished it meanwhile");
            return Ok(false);
        }
        self.settle(asked, recording).await?;
        tracing::info!(duration_ms = recording.duration_ms, "recorded");
        Ok(true)
    }

    /// What is left to do once the state says that all sound is kept.
    async fn settle(&self, asked: &Asked, recording: &Recording) -> Result<(), Trouble> {
        let id = recording.recording_id;
        match self.parts.archive.compact_sound(id).await {
            Ok(()) | Err(ArchiveError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
        asked.announcer.finished(recording).await?;
        Ok(self.parts.sent.purge(id).await?)
    }
}

/// Text that is made while something else is done.
struct Live<D: Future> {
    decoding: Pin<Box<D>>,
    made: Option<D::Output>,
}

impl<D: Future> Live<D> {
    /// Does `work`, and goes on making text meanwhile.
    async fn during<W: Future>(&mut self, work: W) -> W::Output {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                made = &mut self.decoding, if self.made.is_none() => self.made = Some(made),
            }
        }
    }

    /// The text.
    async fn end(&mut self) -> D::Output {
        match self.made.take() {
            Some(made) => made,
            None => (&mut self.decoding).await,
        }
    }
}

fn describe(asked: &Asked, start: Start) -> Recording {
    let mut recording = Recording::begin(
        asked.correlation_id,
        start.created_at.unwrap_or(asked.at),
        start.tags,
        start.options,
    );
    recording.metadata = start.metadata;
    recording
}
