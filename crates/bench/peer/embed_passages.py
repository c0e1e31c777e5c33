#!/usr/bin/env python3
"""Vectors of many passages by the bundled model, as `speakr-bench query` keeps them beside its corpus.

speakr's own runtime needs the better part of an hour for 100,000; ONNX Runtime computes the same
model (the same file) in less than half of that. What is measured with them is the index.

    embed_passages.py MODEL_FOLDER CORPUS PASSAGES PASSAGE_CHARS OUTPUT
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

BATCH = 128
# What the model was trained for (its sentence_bert_config.json).
MOST_TOKENS = 256


def head(line: str, most_chars: int) -> str:
    """The words of `line` that fit into `most_chars`, as the bench cuts them."""
    if len(line) <= most_chars:
        return line
    cut = line[:most_chars]
    end = cut.rfind(" ")
    return cut[:end] if end >= 0 else cut


def main() -> None:
    model, corpus, passages, chars, output = sys.argv[1:]
    with open(corpus, encoding="utf-8", newline="\n") as lines:
        texts = [head(line.rstrip("\n"), int(chars)) for line, _ in zip(lines, range(int(passages)))]
    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    tokenizer.enable_truncation(MOST_TOKENS)
    tokenizer.no_padding()
    encoded = tokenizer.encode_batch(texts)
    session = onnxruntime.InferenceSession(str(Path(model) / "model_int8.onnx"))
    names = [node.name for node in session.get_inputs()]
    # Like lengths together: a batch is padded to its longest text.
    order = sorted(range(len(texts)), key=lambda number: len(encoded[number].ids))
    vectors = np.empty((len(texts), 384), dtype="<f4")
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        length = max(len(encoded[number].ids) for number in batch)
        ids = np.zeros((len(batch), length), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, number in enumerate(batch):
            tokens = encoded[number].ids
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = session.run(None, {name: given[name] for name in names})[0]
        weights = mask[:, :, None].astype(np.float32)
        pooled = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        vectors[batch] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        if start // BATCH % 50 == 49:
            print(f"{start + len(batch)} of {len(texts)} passages embedded", file=sys.stderr)
    part = Path(output + ".part")
    part.write_bytes(vectors.tobytes())
    part.rename(output)


main()
