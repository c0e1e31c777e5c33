//! Sound on its way to the service: 16 kHz mono s16le in messages of about 100 ms, numbered by the
//! header `Speakr-Chunk`, and after the last an empty message with `Speakr-End`.

use std::collections::BTreeMap;

use uuid::Uuid;

/// Samples a second.
pub const SAMPLE_RATE_HZ: u32 = 16_000;
/// Samples in a message that a client should send: 100 ms.
pub const CHUNK_SAMPLES: usize = 1_600;
/// Most bytes of sound in one message: ten seconds.
pub const MAX_CHUNK_BYTES: usize = 320_000;
/// A message is kept until its turn comes when it is no further than this ahead of a missing one: 100 s
/// of sound as it should be sent.
pub const MAX_AHEAD: u64 = 1_000;
/// Most bytes of sound that are kept so: the same 100 s. Messages may be a hundred times as long as they
/// should be, and many recordings have a listener in the same process.
pub const MAX_WAITING_BYTES: usize = 3_200_000;

/// One message of a recording's sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// Sound.
    Sound {
        /// Its place among the others, from 0.
        number: u64,
        /// Samples.
        pcm: Vec<i16>,
    },
    /// No sound comes after the chunks before number `count`.
    End {
        /// How many chunks there are.
        count: u64,
    },
}

/// Why a message of sound isn't accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Neither header is there, or it is no number.
    #[error("header \"{header}\" is missing or no number")]
    Header {
        /// Which header.
        header: &'static str,
    },
    /// Half a sample.
    #[error("{bytes} bytes are no whole number of samples")]
    HalfSample {
        /// Length of the payload.
        bytes: usize,
    },
    /// More than a message may hold.
    #[error("{bytes} bytes are more than the {MAX_CHUNK_BYTES} that a message of sound may hold")]
    TooLarge {
        /// Length of the payload.
        bytes: usize,
    },
}

impl Chunk {
    /// Reads a message from its two headers (`Speakr-Chunk`, `Speakr-End`) and its payload.
    ///
    /// # Errors
    /// [`ChunkError`].
    pub fn read(
        chunk: Option<&str>,
        end: Option<&str>,
        payload: &[u8],
    ) -> Result<Self, ChunkError> {
        let number = |text: Option<&str>, header| {
            text.and_then(|t| t.parse::<u64>().ok())
                .ok_or(ChunkError::Header { header })
        };
        if end.is_some() {
            return Ok(Self::End {
                count: number(end, crate::headers::END)?,
            });
        }
        let number = number(chunk, crate::headers::CHUNK)?;
        let bytes = payload.len();
        if bytes > MAX_CHUNK_BYTES {
            return Err(ChunkError::TooLarge { bytes });
        }
        if !bytes.is_multiple_of(2) {
            return Err(ChunkError::HalfSample { bytes });
        }
        let pcm = payload
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        Ok(Self::Sound { number, pcm })
    }

    /// The header of this message (its name and value) and its payload.
    #[must_use]
    pub fn write(&self) -> ((&'static str, String), Vec<u8>) {
        match self {
            Self::Sound { number, pcm } => (
                (crate::headers::CHUNK, number.to_string()),
                pcm.iter().flat_map(|s| s.to_le_bytes()).collect(),
            ),
            Self::End { count } => ((crate::headers::END, count.to_string()), Vec::new()),
        }
    }

    /// By this the server knows a chunk that was sent again.
    #[must_use]
    pub fn message_id(&self, recording_id: Uuid) -> String {
        match self {
            Self::Sound { number, .. } => format!("{recording_id}:{number}"),
            Self::End { count } => format!("{recording_id}:end:{count}"),
        }
    }
}

/// What came of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The sound whose turn has come with it; none while something before it is missing.
    Due(Vec<Vec<i16>>),
    /// So much waits for what is missing that it has no room here: it has to be given once more after
    /// sound was due again, or [`Sequencer::drain`].
    NoRoom,
}

/// Puts the chunks of one recording into their order and drops repeats.
#[derive(Debug, Default)]
pub struct Sequencer {
    next: u64,
    waiting: BTreeMap<u64, Vec<i16>>,
    waiting_bytes: usize,
    /// The lowest that had no room.
    refused: Option<u64>,
    count: Option<u64>,
}

impl Sequencer {
    /// A sequencer that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a chunk, if there is room for it.
    pub fn take(&mut self, chunk: Chunk) -> Taken {
        match chunk {
            Chunk::End { count } => {
                // A sender that was cut off may say it twice; the longer tale is the later one.
                self.count = Some(self.count.map_or(count, |known| known.max(count)));
            }
            Chunk::Sound { number, .. }
                if number < self.next || self.waiting.contains_key(&number) => {}
            Chunk::Sound { number, pcm } => {
                let bytes = self.waiting_bytes + 2 * pcm.len();
                let far = number - self.next > MAX_AHEAD || bytes > MAX_WAITING_BYTES;
                if far && number != self.next {
                    let lowest = self.refused.map_or(number, |known| known.min(number));
                    self.refused = Some(lowest);
                    return Taken::NoRoom;
                }
                self.waiting_bytes = bytes;
                self.waiting.insert(number, pcm);
            }
        }
        let mut due = Vec::new();
        while let Some(pcm) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.waiting_bytes -= 2 * pcm.len();
            due.push(pcm);
        }
        Taken::Due(due)
    }

    /// Whether all sound up to the end mark has come.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.count.is_some_and(|count| self.next >= count)
    }

    /// Whether the end mark has come.
    #[must_use]
    pub const fn has_end(&self) -> bool {
        self.count.is_some()
    }

    /// Whether chunks came that wait for one before them.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.refused.is_some()
    }

    /// Whether something that had no room would have it now, if nothing else came before.
    #[must_use]
    pub fn has_room_again(&self) -> bool {
        let near = |refused: u64| refused.saturating_sub(self.next) <= MAX_AHEAD;
        self.refused.is_some_and(near)
    }

    /// Whether none is held until its turn comes.
    #[must_use]
    pub fn holds_none(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The chunk that is waited for.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        self.next
    }

    /// All that had no room is given once more from now on.
    pub const fn hear_again(&mut self) {
        self.refused = None;
    }

    /// Gives up on what is missing: the sound that has come after it, in order, up to what had no room.
    /// That has to be given once more.
    pub fn drain(&mut self) -> Vec<Vec<i16>> {
        let (rest, from) = match self.refused.take() {
            Some(refused) => {
                let after = self.waiting.split_off(&refused);
                (std::mem::replace(&mut self.waiting, after), Some(refused))
            }
            None => (std::mem::take(&mut self.waiting), None),
        };
        let last = rest.last_key_value().map(|(last, _)| last + 1);
        self.next = last.or(from).unwrap_or(self.next);
        self.waiting_bytes -= rest.values().map(|pcm| 2 * pcm.len()).sum::<usize>();
        rest.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sound(number: u64) -> Chunk {
        let sample = i16::try_from(number).unwrap();
        Chunk::Sound {
            number,
            pcm: vec![sample; 3],
        }
    }

    fn due(sequencer: &mut Sequencer, chunk: Chunk) -> Vec<Vec<i16>> {
        match sequencer.take(chunk) {
            Taken::Due(due) => due,
            Taken::NoRoom => panic!("there is room"),
        }
    }

    /// Gives chunks over and over, as a listener does, until all is heard; says how many bytes waited
    /// at most.
    fn hear_all(chunks: &[Chunk]) -> (Vec<i16>, usize) {
        let mut sequencer = Sequencer::new();
        let (mut heard, mut most) = (Vec::new(), 0);
        for _ in 0..=2 * chunks.len() {
            sequencer.hear_again();
            let before = sequencer.next;
            for chunk in chunks {
                if let Taken::Due(due) = sequencer.take(chunk.clone()) {
                    heard.extend(due.concat());
                }
                most = most.max(sequencer.waiting_bytes);
            }
            if sequencer.is_complete() {
                return (heard, most);
            }
            if sequencer.next == before {
                heard.extend(sequencer.drain().concat());
            }
        }
        panic!("it comes to no end: {sequencer:?}");
    }

    proptest! {
        // Each moves megabytes about.
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn what_waits_is_bounded_and_nothing_of_it_is_lost(
            order in Just((1_u64..30).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            // Ten seconds in each: a tenth of them may wait. The first never comes.
            let mut chunks: Vec<Chunk> = order
                .into_iter()
                .map(|number| Chunk::Sound {
                    number,
                    pcm: vec![i16::try_from(number).unwrap(); MAX_CHUNK_BYTES / 2],
                })
                .collect();
            chunks.push(Chunk::End { count: 30 });
            let (heard, most) = hear_all(&chunks);
            prop_assert!(most <= MAX_WAITING_BYTES, "{}", most);
            let firsts: Vec<i16> = heard.iter().step_by(MAX_CHUNK_BYTES / 2).copied().collect();
            prop_assert_eq!(firsts, (1..30).collect::<Vec<i16>>());
        }
    }

    proptest! {
        #[test]
        fn any_order_with_any_repeats_gives_the_sound_once_and_in_order(
            order in Just((0_u64..60).collect::<Vec<_>>()).prop_shuffle(),
            repeats in prop::collection::vec(0_u64..60, 0..40),
            end_at in 0_usize..60,
        ) {
            let mut chunks: Vec<Chunk> = order.into_iter().map(sound).collect();
            chunks.insert(end_at, Chunk::End { count: 60 });
            for (i, n) in repeats.into_iter().enumerate() {
                chunks.insert((i * 2).min(chunks.len()), sound(n));
            }
            let mut sequencer = Sequencer::new();
            let mut heard = Vec::new();
            for chunk in chunks {
                prop_assert!(!sequencer.is_complete() || heard.len() == 180);
                heard.extend(due(&mut sequencer, chunk).concat());
            }
            prop_assert!(sequencer.is_complete());
            let wanted: Vec<i16> = (0..60).flat_map(|n| vec![n; 3]).collect();
            prop_assert_eq!(heard, wanted);
        }

        #[test]
        fn chunks_survive_the_wire(number in any::<u64>(), pcm in prop::collection::vec(any::<i16>(), 0..200)) {
            let chunk = Chunk::Sound { number, pcm };
            let ((name, value), payload) = chunk.write();
            prop_assert_eq!(name, crate::headers::CHUNK);
            prop_assert_eq!(Chunk::read(Some(&value), None, &payload).unwrap(), chunk);
        }

        #[test]
        fn no_payload_and_no_header_panics(
            chunk in prop::option::of(".*"), end in prop::option::of(".*"),
            payload in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = Chunk::read(chunk.as_deref(), end.as_deref(), &payload);
        }
    }

    #[test]
    fn a_chunk_far_ahead_has_no_room_until_what_is_before_it_was_given_up() {
        let mut sequencer = Sequencer::new();
        assert_eq!(sequencer.take(sound(MAX_AHEAD + 1)), Taken::NoRoom);
        assert!(sequencer.is_waiting());
        assert!(sequencer.drain().is_empty());
        assert_eq!(due(&mut sequencer, sound(MAX_AHEAD + 1)).len(), 1);
    }

    #[test]
    fn the_chunk_that_is_missing_has_room_whatever_waits() {
        let long = |number| Chunk::Sound {
            number,
            pcm: vec![0; MAX_CHUNK_BYTES / 2],
        };
        let mut sequencer = Sequencer::new();
        let kept = (1..100)
            .take_while(|n| sequencer.take(long(*n)) != Taken::NoRoom)
            .count();
        assert_eq!(kept, MAX_WAITING_BYTES / MAX_CHUNK_BYTES);
        assert_eq!(due(&mut sequencer, long(0)).len(), kept + 1);
        assert_eq!(sequencer.waiting_bytes, 0);
    }

    #[test]
    fn half_a_sample_and_too_much_are_refused() {
        assert_eq!(
            Chunk::read(Some("0"), None, &[1]),
            Err(ChunkError::HalfSample { bytes: 1 })
        );
        let large = vec![0; MAX_CHUNK_BYTES + 2];
        assert!(matches!(
            Chunk::read(Some("0"), None, &large),
            Err(ChunkError::TooLarge { .. })
        ));
        assert!(matches!(
            Chunk::read(None, None, &[]),
            Err(ChunkError::Header { .. })
        ));
    }

    #[test]
    fn giving_up_on_a_gap_keeps_what_came_after_it() {
        let mut sequencer = Sequencer::new();
        assert_eq!(due(&mut sequencer, sound(0)).len(), 1);
        assert!(due(&mut sequencer, sound(3)).is_empty());
        assert!(due(&mut sequencer, sound(2)).is_empty());
        assert_eq!(sequencer.drain(), [vec![2; 3], vec![3; 3]]);
        assert_eq!(sequencer.next_number(), 4);
    }
}
