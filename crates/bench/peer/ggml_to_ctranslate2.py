#!/usr/bin/env python3
"""Turns a Whisper model of whisper.cpp (ggml) into one of CTranslate2, for faster-whisper.

    pip install faster-whisper
    python3 ggml_to_ctranslate2.py ggml-tiny.en-q8_0.bin OUTPUT_DIR

Both engines then have the same weights: those of the file, dequantised and quantised again to int8.
Weights of types f32, f16, q8_0 and q5_1 are read.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
from ctranslate2.converters import utils
from ctranslate2.specs import common_spec, whisper_spec

LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur "
    "hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si "
    "km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln "
    "ha ba jw su"
).split()


class Reader:
    def __init__(self, path):
        self.data, self.at = Path(path).read_bytes(), 0

    def ints(self, count):
        values = struct.unpack_from(f"<{count}i", self.data, self.at)
        self.at += 4 * count
        return values

    def bytes(self, count):
        self.at += count
        return self.data[self.at - count : self.at]


def dequantise(kind, raw, count):
    if kind == 0:
        return np.frombuffer(raw, "<f4")
    if kind == 1:
        return np.frombuffer(raw, "<f2").astype(np.float32)
    if kind == 8:
        blocks = np.frombuffer(raw, [("d", "<f2"), ("q", "i1", 32)])
        return (blocks["d"].astype(np.float32)[:, None] * blocks["q"]).reshape(count)
    if kind == 7:
        blocks = np.frombuffer(raw, [("d", "<f2"), ("m", "<f2"), ("h", "<u4"), ("q", "u1", 16)])
        low = np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], axis=1)
        high = (blocks["h"][:, None] >> np.arange(32, dtype=np.uint32)) & 1
        values = low | (high << 4).astype(np.uint8)
        scale, least = (blocks[k].astype(np.float32)[:, None] for k in "dm")
        return (values * scale + least).reshape(count)
    raise SystemExit(f"tensor type {kind} isn't known")


def read(path):
    reader = Reader(path)
    (magic,) = reader.ints(1)
    assert magic == 0x67676D6C, "no ggml file"
    sizes = reader.ints(11)
    mels, bins = reader.ints(2)
    reader.bytes(4 * mels * bins)
    (words,) = reader.ints(1)
    vocabulary = [reader.bytes(reader.ints(1)[0]) for _ in range(words)]
    tensors = {}
    while reader.at < len(reader.data):
        dimensions, length, kind = reader.ints(3)
        shape = reader.ints(dimensions)[::-1]
        name = reader.bytes(length).decode()
        count = int(np.prod(shape))
        size = {0: 4 * count, 1: 2 * count, 8: count // 32 * 34, 7: count // 32 * 24}[kind]
        tensors[name] = dequantise(kind, reader.bytes(size), count).reshape(shape).copy()
    return sizes, vocabulary, tensors


def linear(spec, tensors, name):
    spec.weight = tensors[f"{name}.weight"]
    if f"{name}.bias" in tensors:
        spec.bias = tensors[f"{name}.bias"].reshape(-1)


def norm(spec, tensors, name):
    spec.gamma = tensors[f"{name}.weight"].reshape(-1)
    spec.beta = tensors[f"{name}.bias"].reshape(-1)


def attention(spec, tensors, name, own):
    parts = []
    for part in ("query", "key", "value"):
        parts.append(common_spec.LinearSpec())
        linear(parts[-1], tensors, f"{name}.{part}")
    if own:
        utils.fuse_linear(spec.linear[0], parts)
    else:
        utils.fuse_linear(spec.linear[0], parts[:1])
        utils.fuse_linear(spec.linear[1], parts[1:])
    linear(spec.linear[-1], tensors, f"{name}.out")
    norm(spec.layer_norm, tensors, f"{name}_ln")


def feed_forward(spec, tensors, name):
    linear(spec.linear_0, tensors, f"{name}.mlp.0")
    linear(spec.linear_1, tensors, f"{name}.mlp.2")
    norm(spec.layer_norm, tensors, f"{name}.mlp_ln")


def convert(sizes, tensors):
    _, _, _, audio_heads, audio_layers, _, _, text_heads, text_layers, _, _ = sizes
    spec = whisper_spec.WhisperSpec(audio_layers, audio_heads, text_layers, text_heads)
    for name in ("conv1", "conv2"):
        linear(getattr(spec.encoder, name), tensors, f"encoder.{name}")
    spec.encoder.position_encodings.encodings = tensors["encoder.positional_embedding"]
    norm(spec.encoder.layer_norm, tensors, "encoder.ln_post")
    for i, layer in enumerate(spec.encoder.layer):
        name = f"encoder.blocks.{i}"
        attention(layer.self_attention, tensors, f"{name}.attn", own=True)
        feed_forward(layer.ffn, tensors, name)
    spec.decoder.embeddings.weight = tensors["decoder.token_embedding.weight"]
    spec.decoder.projection.weight = tensors["decoder.token_embedding.weight"]
    spec.decoder.position_encodings.encodings = tensors["decoder.positional_embedding"]
    spec.decoder.scale_embeddings = 1.0
    norm(spec.decoder.layer_norm, tensors, "decoder.ln")
    for i, layer in enumerate(spec.decoder.layer):
        name = f"decoder.blocks.{i}"
        attention(layer.self_attention, tensors, f"{name}.attn", own=True)
        attention(layer.attention, tensors, f"{name}.cross_attn", own=False)
        feed_forward(layer.ffn, tensors, name)
    return spec


def byte_letters():
    """GPT-2's way of writing bytes as letters."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    return {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}


def merges(words):
    """The merges behind a byte-pair vocabulary whose order is that of the merges."""
    ranks = {word: i for i, word in enumerate(words)}
    pairs = []
    for rank, word in enumerate(words):
        parts = [word[i : i + 1] for i in range(len(word))]
        while len(parts) > 2:
            found = [(ranks.get(a + b, rank), i) for i, (a, b) in enumerate(zip(parts, parts[1:]))]
            best, at = min(found)
            if best >= rank:
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        if len(parts) == 2:
            pairs.append(tuple(parts))
    return pairs


def main():
    source, target = sys.argv[1], Path(sys.argv[2])
    sizes, words, tensors = read(source)
    total = sizes[0]
    multilingual = total >= 51865
    first_special = 50257 if multilingual else 50256
    words = words[:first_special]
    # English-only models keep the places of the languages too.
    languages = LANGUAGES + (["yue"] if total > 51865 else [])
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in languages)]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
    special += ["<|nospeech|>", "<|notimestamps|>"]
    stamps = total - len(words) - len(special)
    special += ["<|%.2f|>" % (i * 0.02) for i in range(stamps)]
    letters = byte_letters()
    spell = lambda word: "".join(letters[b] for b in word)
    vocabulary = [spell(word) for word in words] + special

    spec = convert(sizes, tensors)
    spec.register_vocabulary(vocabulary)
    layers, heads = sizes[8], sizes[7]
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], [220, first_special]
    spec.config.lang_ids = [first_special + 2 + i for i in range(len(languages))]
    spec.config.alignment_heads = [(l, h) for l in range(layers // 2, layers) for h in range(heads)]
    spec.validate()
    spec.optimize(quantization="int8")
    target.mkdir(parents=True, exist_ok=True)
    spec.save(str(target))

    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": len(words) + i, "content": token, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False, "special": True}
            for i, token in enumerate(special)
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                          "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                    "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False,
                  "vocab": {spell(word): i for i, word in enumerate(words)},
                  "merges": [[spell(a), spell(b)] for a, b in merges(words)]},
    }
    (target / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False))


if __name__ == "__main__":
    main()
