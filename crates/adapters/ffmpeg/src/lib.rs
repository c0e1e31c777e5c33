//! Sound in and out through ffmpeg: capture, decode, encode.
