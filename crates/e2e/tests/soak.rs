//! A short soak; `make soak` is the long one.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "test code")]

use std::time::Duration;

use speakr_e2e::soak::Soak;

#[test]
fn what_is_said_while_every_part_is_killed_now_and_then_is_neither_lost_nor_doubled() {
    let soak = Soak {
        seed: fastrand::u64(..),
        kills: 3,
        outages: 1,
        speakers: 2,
        calm: Duration::ZERO,
    };
    // Printed before anything can go wrong.
    eprintln!("seed {}", soak.seed);
    let report = soak.run(|_, _| {}).unwrap();
    eprintln!("{report}");
    assert!(report.faults.is_empty(), "{report}");
    assert!(report.recordings > 3, "{report}");
}
