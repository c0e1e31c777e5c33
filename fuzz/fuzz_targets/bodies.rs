//! Bodies of HTTP requests: what can't be read is refused without a panic.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use speakr_http::{ApiConfig, fuzzing};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
});

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, bytes) = input;
    let _good = match kind % 3 {
        0 => fuzzing::query(bytes),
        1 => fuzzing::tags(bytes),
        _ => RUNTIME.block_on(fuzzing::transcription(
            "b",
            bytes.to_vec(),
            &ApiConfig::default(),
        )),
    };
});
