//! Sound in messages: whatever comes, in whatever order, what is given out is in order and nothing
//! comes twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use speakr_contract::audio::{Chunk, Sequencer, Taken};

fuzz_target!(|messages: Vec<(Option<&str>, Option<&str>, &[u8])>| {
    let mut sequencer = Sequencer::new();
    for (number, end, payload) in messages {
        let Ok(chunk) = Chunk::read(number, end, payload) else {
            continue;
        };
        let ((name, value), bytes) = chunk.write();
        let again = match name {
            speakr_contract::headers::CHUNK => Chunk::read(Some(&value), None, &bytes),
            _ => Chunk::read(None, Some(&value), &bytes),
        };
        assert_eq!(again.as_ref().ok(), Some(&chunk));
        let before = sequencer.next_number();
        if let Taken::Due(due) = sequencer.take(chunk) {
            assert_eq!(sequencer.next_number(), before + due.len() as u64);
        }
    }
    let (waiting, before) = (sequencer.is_waiting(), sequencer.next_number());
    sequencer.drain();
    assert_eq!(waiting, sequencer.next_number() > before);
});
