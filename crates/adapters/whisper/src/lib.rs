//! Speech engine and voice activity detector on whisper.cpp.
