//! Every message of the contract: what is read is written so that it is read the same again, and
//! what can't be read is refused without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use speakr_contract::{Message, commands, decode, encode, events};

fn there_and_back<M: Message + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    match decode::<M>(bytes) {
        Ok(message) => {
            let written = encode(&message).expect("what was read can be written");
            let again = decode::<M>(&written).expect("what was written can be read");
            assert_eq!(message, again);
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, bytes) = input;
    match kind % 12 {
        0 => there_and_back::<commands::RecordingStart>(bytes),
        1 => there_and_back::<commands::RecordingStop>(bytes),
        2 => there_and_back::<commands::RecordingCancel>(bytes),
        3 => there_and_back::<commands::TranscriptionRun>(bytes),
        4 => there_and_back::<events::RecordingStarted>(bytes),
        5 => there_and_back::<events::RecordingFinished>(bytes),
        6 => there_and_back::<events::RecordingCancelled>(bytes),
        7 => there_and_back::<events::TranscriptionPartial>(bytes),
        8 => there_and_back::<events::TranscriptionSucceeded>(bytes),
        9 => there_and_back::<events::TranscriptionFailed>(bytes),
        10 => there_and_back::<events::EmbeddingSucceeded>(bytes),
        // What came later is at the end: seeds stay what they were.
        _ => there_and_back::<events::RecordingDeleted>(bytes),
    }
});
