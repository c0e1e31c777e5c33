//! The index in memory, on which the use cases are tested, does what every index must.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "test code"
)]

mod contract;
#[path = "../src/usecases/library/tests/index.rs"]
mod index;

// Where the index, which is part of the core's own tests, looks for them.
use speakr_core::{keywords, ports, recording, transcript};

use self::{contract::index_cases, index::MemoryIndex};

macro_rules! run {
    ($($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                contract::$name(&MemoryIndex::default()).await;
            }
        )*
    };
}
index_cases!(run);
