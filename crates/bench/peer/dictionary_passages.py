"""Makes passages of text out of the dictionary GCIDE, one a line, in the dictionary's order.

    dictionary_passages.py gcide.dict.dz > passages.txt

A passage is some 25 words or more of neighbouring definitions, without etymologies and sources:
real sentences about everything there is a word for, a hundred thousand of them.
"""

import gzip
import re
import sys

WORDS = 25


def paragraphs(lines):
    paragraph = []
    for line in lines:
        if line.strip():
            paragraph.append(line.strip())
        elif paragraph:
            yield " ".join(paragraph)
            paragraph = []
    if paragraph:
        yield " ".join(paragraph)


def plain(paragraph):
    paragraph = re.sub(r"\[[^\]]*\]", " ", paragraph)  # etymologies, sources
    paragraph = re.sub(r"\\[^\\]*\\,?", " ", paragraph)  # how it is pronounced
    paragraph = re.sub(r"--\s?[A-Z][\w. ]*\.?", " ", paragraph)  # who wrote it
    paragraph = re.sub(r"[{}]", "", paragraph)
    return re.sub(r"\s+", " ", paragraph).strip()


def main():
    with gzip.open(sys.argv[1], "rt", encoding="utf-8", errors="replace") as lines:
        passage = []
        for text in map(plain, paragraphs(lines)):
            passage.extend(text.split())
            if len(passage) >= WORDS:
                # A sentence model reads no more than some 200 words.
                print(" ".join(passage[:180]))
                passage = []


if __name__ == "__main__":
    main()
