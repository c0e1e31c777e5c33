//! Sound from where it comes to the store of record and the decoder, until the recording ends.

use std::time::Duration;

use super::{
    Recordings, Side, Trouble, backlog::Feed, chain, microphone::OwnMicrophone, text::LOOK_AGAIN,
    writing::Kept,
};
use crate::{
    RecordingId,
    audio::samples_to_ms,
    ports::{
        archive::{ArchiveError, SoundWriter},
        platform::{HearError, Heard, Intent, Nudges, SoundListener},
    },
};

/// After a stop, an end mark or more sound may still be on its way for so long.
const LATE_SOUND: Duration = Duration::from_secs(3);
/// Pause before sound is asked for again after the bus didn't give any.
const BUS_PAUSE: Duration = Duration::from_millis(500);
/// Sound is made to survive a crash of the store this often.
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// The same for a microphone of our own: what it heard is nowhere else.
const SYNC_OWN_EVERY: Duration = Duration::from_secs(1);
/// Pause before a store that didn't take sound is asked again.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Patience with a client that isn't heard while the bus is full, in the patience with any other. It
/// ends: what the gone have sent takes the room that the others wait for, and is only removed with the end
/// of its recording.
const PATIENCE_WHILE_FULL: u32 = 10;

/// Where the sound comes from.
pub(super) enum Source {
    Client(Box<dyn SoundListener>),
    Host(OwnMicrophone),
}

/// What came of listening once.
enum Came {
    Sound(Vec<i16>),
    /// Nothing more is there now.
    Nothing {
        /// For how long.
        quiet: Duration,
    },
    /// There will be no more.
    End,
    /// The bus is away. The client isn't to blame for that.
    Later,
}

/// Why a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is to be kept.
    Keep {
        /// Whether its text is to be made.
        transcribe: bool,
    },
    Cancelled,
    /// This replica ends.
    Ending,
}

impl Source {
    async fn next(&mut self) -> Result<Came, Trouble> {
        match self {
            Self::Host(microphone) => Ok(match microphone.next().await? {
                Some(pcm) => Came::Sound(pcm),
                None => Came::End,
            }),
            Self::Client(listener) => Ok(match listener.next().await {
                Ok(Heard::Sound(pcm)) => Came::Sound(pcm),
                Ok(Heard::CaughtUp) => Came::Nothing {
                    quiet: Duration::ZERO,
                },
                Ok(Heard::Silence(quiet)) => Came::Nothing { quiet },
                Ok(Heard::End) => Came::End,
                Err(error @ HearError::Broken(_)) => {
                    // What came before it is good: it is kept, and its text made.
                    tracing::warn!(error = chain(&error), "the sound ends here");
                    Came::End
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "no sound for now");
                    Came::Later
                }
            }),
        }
    }
}

/// A capture under way.
struct Capture<'a> {
    recordings: &'a Recordings,
    id: RecordingId,
    kept: Kept<'a>,
    listener: Feed,
    intent: Intent,
    /// When the stop was seen.
    stopped_at: Option<Duration>,
    /// When all that had been sent was heard for the first time after the stop.
    caught_up_at: Option<Duration>,
    /// When the last sound came.
    ended_at: Option<Duration>,
    /// Since when, and until when, the bus has told what there is to hear; `None` while it is away.
    /// What a client didn't do while it couldn't be heard isn't held against it.
    heard: Option<(Duration, Duration)>,
    /// When the bus was last seen to refuse sound.
    refused_at: Option<Duration>,
    synced_at: Duration,
    /// What our own microphone heard and the store hasn't taken yet.
    unwritten: Vec<i16>,
    /// Samples that the store has for sure.
    safe: u64,
    /// When the store is asked again.
    write_at: Duration,
}

impl Recordings {
    /// Keeps the sound and hands it to `listener` until the recording ends.
    pub(super) async fn capture(
        &self,
        id: RecordingId,
        source: Source,
        writer: &mut dyn SoundWriter,
        listener: Feed,
        nudges: &mut dyn Nudges,
    ) -> Result<End, Trouble> {
        let safe = writer.samples();
        let mut kept = Kept::new(writer);
        if matches!(source, Source::Host(_)) {
            kept.append();
        }
        let capture = Capture {
            recordings: self,
            id,
            kept,
            listener,
            intent: Intent::default(),
            stopped_at: None,
            caught_up_at: None,
            ended_at: None,
            heard: None,
            refused_at: None,
            synced_at: self.parts.clock.elapsed(),
            unwritten: Vec::new(),
            safe,
            write_at: Duration::ZERO,
        };
        capture.run(source, nudges).await
    }
}

impl Capture<'_> {
    async fn run(mut self, mut source: Source, nudges: &mut dyn Nudges) -> Result<End, Trouble> {
        let parts = &self.recordings.parts;
        let clock = parts.clock.as_ref();
        let mut look_at = Duration::ZERO;
        let mut listen_at = Duration::ZERO;
        loop {
            let now = clock.elapsed();
            if now >= look_at {
                match parts.intents.get(self.id).await {
                    Ok(intent) => self.intent = intent,
                    // The sound is kept meanwhile; a bus that is back says what is wanted.
                    Err(error) => {
                        tracing::warn!(error = chain(&error), "can't read what is wanted")
                    }
                }
                look_at = clock.elapsed() + LOOK_AGAIN;
            }
            if let Some(end) = self.end(&mut source) {
                if let (Source::Host(_), End::Keep { .. }) = (&source, end) {
                    self.save().await?;
                }
                return Ok(end);
            }
            let may_listen = self.ended_at.is_none() && now >= listen_at;
            let wake_at = if self.ended_at.is_some() {
                // The end of the client's patience isn't waited past.
                look_at.min(now + BUS_PAUSE)
            } else if may_listen {
                look_at
            } else {
                look_at.min(listen_at)
            };
            tokio::select! {
                () = parts.stop.cancelled() => return self.leave(&mut source).await,
                () = nudges.next() => look_at = Duration::ZERO,
                () = clock.sleep(wake_at.saturating_sub(now)) => {}
                came = source.next(), if may_listen => {
                    let came = match came {
                        Ok(came) => came,
                        Err(error) => {
                            if matches!(source, Source::Host(_)) {
                                self.save().await?;
                            }
                            return Err(error);
                        }
                    };
                    self.note_hearing(&came);
                    match came {
                        Came::Sound(pcm) if matches!(source, Source::Host(_)) => {
                            self.keep_own(pcm).await?;
                        }
                        Came::Sound(pcm) => self.keep(pcm).await?,
                        Came::End => self.ended_at = Some(clock.elapsed()),
                        Came::Later => listen_at = clock.elapsed() + BUS_PAUSE,
                        Came::Nothing { quiet } => {
                            if let Some(end) = self.nothing_came(quiet, &mut source).await? {
                                return Ok(end);
                            }
                        }
                    }
                }
            }
        }
    }

    fn note_hearing(&mut self, came: &Came) {
        let now = self.recordings.parts.clock.elapsed();
        self.heard = match came {
            Came::Later => None,
            _ => Some((self.heard.map_or(now, |(since, _)| since), now)),
        };
        if self.stopped_at.is_some() && matches!(came, Came::Nothing { .. }) {
            self.caught_up_at.get_or_insert(now);
        }
    }

    /// For how long the client has been heard, or could have been, since `since`.
    fn heard_since(&self, since: Duration) -> Duration {
        self.heard.map_or(Duration::ZERO, |(from, until)| {
            until.saturating_sub(from.max(since))
        })
    }

    async fn keep(&mut self, pcm: Vec<i16>) -> Result<(), Trouble> {
        self.kept.write(&pcm).await?;
        self.listener.give(pcm);
        let now = self.recordings.parts.clock.elapsed();
        if now.saturating_sub(self.synced_at) > SYNC_EVERY {
            self.kept.sync().await?;
            self.synced_at = now;
        }
        Ok(())
    }

    /// What our own microphone heard is said once: a store that is away is asked again, and what it
    /// hasn't taken waits. The microphone is listened to meanwhile.
    async fn keep_own(&mut self, pcm: Vec<i16>) -> Result<(), Trouble> {
        self.unwritten.extend(&pcm);
        self.listener.give(pcm);
        let now = self.recordings.parts.clock.elapsed();
        if now < self.write_at {
            return Ok(());
        }
        let sync = now.saturating_sub(self.synced_at) > SYNC_OWN_EVERY;
        match self.write_own(sync).await {
            Err(error) if may_go_better(&error) => {
                self.tell_of_waiting(&error);
                self.write_at = self.recordings.parts.clock.elapsed() + STORE_PAUSE;
                Ok(())
            }
            other => Ok(other?),
        }
    }

    async fn write_own(&mut self, sync: bool) -> Result<(), ArchiveError> {
        let before = self.kept.samples();
        let written = self.kept.write(&self.unwritten).await;
        // Also of a write that failed the writer may have taken some, to go with the next.
        let taken = usize::try_from(self.kept.samples() - before).unwrap_or(usize::MAX);
        self.unwritten.drain(..taken.min(self.unwritten.len()));
        written?;
        if sync {
            self.kept.sync().await?;
            self.safe = self.kept.samples();
            self.synced_at = self.recordings.parts.clock.elapsed();
        }
        Ok(())
    }

    fn tell_of_waiting(&self, error: &ArchiveError) {
        // In the writer's hands, and in ours.
        let held = self.kept.samples() - self.safe + self.unwritten.len() as u64;
        let waiting_ms = samples_to_ms(held);
        tracing::warn!(
            error = chain(error),
            waiting_ms,
            "the microphone's sound waits for the store"
        );
    }

    /// Writes all that our own microphone heard, and waits for the store where it is away: for as
    /// long as this replica may.
    async fn save(&mut self) -> Result<(), Trouble> {
        let parts = &self.recordings.parts;
        loop {
            let error = tokio::select! {
                written = self.write_own(true) => match written {
                    Err(error) if may_go_better(&error) => error,
                    other => return Ok(other?),
                },
                () = parts.stop_now.cancelled() => break,
            };
            self.tell_of_waiting(&error);
            tokio::select! {
                () = parts.clock.sleep(STORE_PAUSE) => {}
                () = parts.stop_now.cancelled() => break,
            }
        }
        tracing::error!(
            "this replica has to end before the store took all of the microphone's sound"
        );
        Err(Trouble::Ending)
    }

    /// This replica ends. What a client said is on the bus; what our own microphone heard goes into
    /// the store first.
    async fn leave(&mut self, source: &mut Source) -> Result<End, Trouble> {
        let Source::Host(microphone) = source else {
            return Ok(End::Ending);
        };
        microphone.stop();
        let clock = self.recordings.parts.clock.as_ref();
        let late = clock.sleep(LATE_SOUND);
        tokio::pin!(late);
        loop {
            tokio::select! {
                biased;
                came = microphone.next() => match came {
                    Ok(Some(pcm)) => self.unwritten.extend(pcm),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(error = chain(&error), "the microphone broke off");
                        break;
                    }
                },
                () = &mut late => break,
            }
        }
        self.save().await?;
        Ok(End::Ending)
    }

    /// Whether the recording has ended by what is known now.
    fn end(&mut self, source: &mut Source) -> Option<End> {
        let parts = &self.recordings.parts;
        if self.intent.cancelled {
            return Some(End::Cancelled);
        }
        let now = parts.clock.elapsed();
        let host = matches!(source, Source::Host(_));
        if let Some(stop) = &self.intent.stop {
            let transcribe = stop.transcribe;
            if self.stopped_at.is_none() {
                self.stopped_at = Some(now);
                if let Source::Host(source) = source {
                    source.stop();
                }
            }
            // A client that has said "stop" and goes on sending isn't heard for ever. What it had sent
            // by then is, however long that takes, and what the bus had no room for.
            let heard_for = self.caught_up_at.map_or(Duration::ZERO, |at| {
                self.heard_since(self.refused_at.map_or(at, |refused| at.max(refused)))
            });
            let too_long = !host && heard_for > parts.client_patience.max(2 * LATE_SOUND);
            return (self.ended_at.is_some() || too_long).then_some(End::Keep { transcribe });
        }
        let ended_at = self.ended_at?;
        let vanished = now.saturating_sub(ended_at) > parts.client_patience;
        (host || vanished).then_some(End::Keep { transcribe: true })
    }

    /// Whether a client that has been quiet for so long may be there all the same: the bus takes no more
    /// sound, or took none until a moment ago.
    async fn may_be_refused(&mut self, quiet: Duration) -> bool {
        let parts = &self.recordings.parts;
        if quiet > parts.client_patience * PATIENCE_WHILE_FULL {
            return false;
        }
        let now = parts.clock.elapsed();
        match parts.sent.is_full().await {
            Ok(true) => {
                if self.refused_at.is_none() {
                    tracing::warn!("the bus is full: its client can't be heard");
                }
                self.refused_at = Some(now);
            }
            Ok(false) => {}
            Err(error) => tracing::debug!(error = chain(&error), "can't read how full the bus is"),
        }
        self.refused_at
            .is_some_and(|at| now.saturating_sub(at) <= parts.client_patience)
    }

    async fn nothing_came(
        &mut self,
        quiet: Duration,
        source: &mut Source,
    ) -> Result<Option<End>, Trouble> {
        let parts = &self.recordings.parts;
        let late = self
            .stopped_at
            .is_some_and(|at| self.heard_since(at) > LATE_SOUND);
        let vanished = quiet.min(self.heard_since(Duration::ZERO)) > parts.client_patience;
        if !late && !vanished || self.may_be_refused(quiet).await {
            return Ok(None);
        }
        if let Source::Client(client) = source {
            let rest = client.give_up_on_gaps();
            if !rest.pcm.is_empty() {
                self.keep(rest.pcm).await?;
            }
            if rest.more {
                return Ok(None);
            }
        }
        self.ended_at = Some(parts.clock.elapsed());
        if self.stopped_at.is_none() {
            tracing::warn!(quiet_s = quiet.as_secs(), "the client vanished");
            parts.meter.client_vanished();
            return Ok(Some(End::Keep { transcribe: true }));
        }
        Ok(None)
    }
}

impl Recordings {
    /// Opens where the sound comes from.
    pub(super) async fn source(&self, id: RecordingId, side: Side) -> Result<Source, Trouble> {
        match (side, &self.parts.host) {
            (Side::Client, _) => Ok(Source::Client(self.parts.sent.listen(id))),
            // It has ended already: nobody is to be heard any more.
            (Side::Host, Some(_)) if self.parts.intents.get(id).await?.stop.is_some() => {
                Ok(Source::Host(OwnMicrophone::off()))
            }
            (Side::Host, Some(host)) => {
                let sound = host.microphone.open(&host.device).await?;
                Ok(Source::Host(OwnMicrophone::listen(sound)))
            }
            (Side::Host, None) => Err(Trouble::Refused(
                "this service doesn't record with a microphone of its own: capture the sound at \
                 the client, or set SPEAKR_HOST_CAPTURE=1 where one replica runs beside a \
                 microphone"
                    .to_owned(),
            )),
        }
    }
}

/// Whether the store may take later what it doesn't take now.
fn may_go_better(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::Full { .. } | ArchiveError::Io { .. })
}
