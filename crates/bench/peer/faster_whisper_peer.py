#!/usr/bin/env python3
"""Transcribes WAV files with faster-whisper (int8, one thread) and prints what it took as JSON.

    pip install faster-whisper
    python3 faster_whisper_peer.py --model DIR --beam 1 --language en CLIP.wav…

DIR holds a CTranslate2 model; ggml_to_ctranslate2.py makes one of a whisper.cpp file.
"""

import argparse
import json
import resource
import sys
import wave
from importlib.metadata import version

import numpy
from faster_whisper import WhisperModel


def samples(path: str) -> numpy.ndarray:
    with wave.open(path, "rb") as clip:
        assert (clip.getframerate(), clip.getnchannels(), clip.getsampwidth()) == (16000, 1, 2)
        pcm = numpy.frombuffer(clip.readframes(clip.getnframes()), dtype="<i2")
    return pcm.astype(numpy.float32) / 32768


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--beam", type=int, default=1)
    parser.add_argument("--language", default="en")
    parser.add_argument("clips", nargs="*")
    args = parser.parse_args()
    model = WhisperModel(args.model, device="cpu", compute_type="int8", cpu_threads=1)
    sounds = [samples(path) for path in args.clips]
    began = cpu_seconds()
    texts = []
    for sound in sounds:
        segments, _ = model.transcribe(
            sound,
            language=args.language,
            beam_size=args.beam,
            condition_on_previous_text=False,
        )
        texts.append(" ".join(segment.text.strip() for segment in segments))
    json.dump(
        {
            "name": f"faster-whisper {version('faster-whisper')}, beam {args.beam}",
            "cpu_s": cpu_seconds() - began,
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "texts": texts,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
