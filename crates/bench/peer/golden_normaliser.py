#!/usr/bin/env python3
"""Writes tests/golden/normaliser.json with the Python original of Whisper's normalisers.

    pip install whisper-normalizer==0.1.15
    python3 crates/bench/peer/golden_normaliser.py > crates/bench/tests/golden/normaliser.json
"""

import itertools
import json
import sys

from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

ENGLISH = [
    "And so my fellow Americans, ask not what your country can do for you.",
    "Mr. Hale and Mrs. Hale met Dr. Jones at St. Paul's; Prof. Smith didn't come.",
    "I'm gonna say it's been done, he'd gone, she'd been, they've got what we'd like.",
    "I won't, can't, shan't, y'all wanna gotta; 'cause I dunno, ma'am.",
    "Uh, um, hmm: the colour of the theatre's grey centre was honoured and realised.",
    "[noise] Well (laughs) I <unk> said so.",
    "The café's naïve façade; Straße, Ærø, œuvre, Łódź.",
    "The expression goes 6 × 10 = 60 not 600000 that gives us a 12% chance.",
    "It costs $20 million, or twenty million dollars, or £3.50, or three pounds fifty.",
    "two dollars and seven cents", "$0.99", "ninety nine cents", "zero dollars and five cents",
    "one oh one", "double oh seven", "triple five four", "double trouble", "one two three four",
    "twenty twenty one", "nineteen eighty four", "nineteen sixties", "the 1960s and the 60s",
    "the twenty first century", "the 21st", "first second third fifth twelfth thirtieth",
    "three and a half million people", "two and a half", "he and a half", "five hundred and a half",
    "one hundred and twenty three thousand four hundred and fifty six",
    "one thousand nine hundred and eighty", "ten thousand", "hundreds of thousands of millions",
    "minus five degrees", "negative attitude", "plus ten", "positive seven percent", "plus size",
    "fifty per cent", "fifty percent", "per cent", "fifty per person", "percent of ten",
    "three point one four one five", "point five", "the point is", "192 point 168 point 0 point 1",
    "oh no", "oh five", "zero", "o clock at ten o'clock", "eleven o five",
    "1,000,000 people in 10,5 rows", "3.0 is three", "3.14.", "version 2.0.1", "a1b2c3", "10 th of May",
    "the 5 s rule", "sixes and sevens", "twenties", "ten fold and twentyfold",
    "one", "ones", "1", "1s", "number one hundred one", "a hundred and one dalmatians",
    "four score and seven years ago", "sixty seventy", "twenty ten", "thirty eleven", "five twenty",
    "six six six", "six sixty six", "two thousand and twenty six", "two thousand million thousand",
    "thousandth", "three millionth", "2.5 million", "2.55 hundred", "0 million", "zero hundred",
    "$5", "-5", "+3.5", "€7 and ¢7", "$2 and ¢7", "£3 ¢5", "¢50", "5 %", "5%", "% off", "a.b", "...", "",
    "It was three.", "He said: 'three-and-twenty'.", "twenty-five", "forty‑two", "one-hundredth",
    "pounds of flesh", "ten pounds of flesh", "twenty euros", "one cent", "a dollar", "dollar dollar",
    "and", "and five", "hundred and", "thousand and one nights", "five and six", "and and",
    "double", "double ten", "triple zero", "point", "point point", "minus", "minus minus five",
]
ENGLISH += [" ".join(words) for words in itertools.product(
    ["two", "twenty", "nineteen", "three hundred", "oh", "4", "2.5"],
    ["five", "thirty", "thousand", "hundredth", "second", "point six", "and one", "percent"],
)]

BASIC = [
    "Die Werbung vermittelt einen falschen Eindruck.",
    "Les deux autres sont situés au bord de la mer jaune.",
    "Dal passo si sale sulla vetta lungo la cresta sud.",
    "Um grupo de crianças está andando em um rio perto da margem do rio.",
    "¿Qué? ¡Niño! l'été – «naïve»… [x] (y) a_b",
    "Ĳssel ﬁn Ⅳ ½",
    "",
]


def main() -> None:
    english, basic = EnglishTextNormalizer(), BasicTextNormalizer()
    pairs = {
        "english": [[text, english(text)] for text in dict.fromkeys(ENGLISH)],
        "basic": [[text, basic(text)] for text in BASIC],
    }
    json.dump(pairs, sys.stdout, ensure_ascii=False, indent=1)
    print()


if __name__ == "__main__":
    main()
