//! A look at a model file before the engine reads it: given another file, the engine aborts the
//! whole process instead of failing.

use std::{fs::File, io::Read};

use crate::ModelBytes;

/// `ggml` in ASCII.
const MAGIC: i32 = 0x6767_6d6c;
/// Magic number and eleven sizes.
const LEN: usize = 48;

/// Whether `source` begins as a Whisper model does.
///
/// # Errors
/// The system's, when the file can't be read.
pub(crate) fn is_whisper(source: &ModelBytes) -> std::io::Result<bool> {
    let mut start = Vec::with_capacity(LEN);
    match source {
        ModelBytes::Static(bytes) => start.extend(bytes.iter().take(LEN)),
        ModelBytes::File(path) => {
            File::open(path)?.take(LEN as u64).read_to_end(&mut start)?;
        }
    }
    let values: Vec<i32> = start
        .chunks_exact(4)
        .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    // whisper.cpp's `whisper_hparams`, in the order of the file.
    let [
        magic,
        vocabulary,
        audio_ctx,
        audio_state,
        audio_heads,
        audio_layers,
        text_ctx,
        text_state,
        text_heads,
        text_layers,
        mels,
        _ftype,
    ] = values[..]
    else {
        return Ok(false);
    };
    let all_within = [
        (vocabulary, 50_000..60_000),
        (audio_ctx, 1_500..1_501),
        (audio_state, 384..1_281),
        (audio_heads, 6..21),
        (audio_layers, 4..33),
        (text_ctx, 448..449),
        (text_state, 384..1_281),
        (text_heads, 6..21),
        (text_layers, 2..33),
    ]
    .into_iter()
    .all(|(value, range)| range.contains(&value));
    Ok(magic == MAGIC && all_within && [80, 128].contains(&mels))
}
