"""The words of a text for BM25: normalised, in lower case, without stop words and endings."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

PLAIN = "none"  # in place of a language: every word counts, spelt as it is

# vowel signs, from Hebrew to Khmer: parts of a word, though no letters
SIGNS = "".join(c for c in map(chr, range(0x0591, 0x1800)) if unicodedata.category(c)[0] == "M")

# runs of letters and digits; one letter beside an apostrophe is the rest of a word: it's, l'eau
WORD = re.compile(r"\w{2,}|(?<!\w['\u2019])\w(?!['\u2019]\w)")
SIGNED = re.compile(rf"\w[\w{SIGNS}]+|(?<!\w['\u2019])\w(?!['\u2019]\w)")

# scripts that put no blanks between words: Thai to Burmese, Khmer, Japanese kana and Han
UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)"
)
ELIDED = frozenset("cdjlmnst")  # stop words before an apostrophe alone, where `WORD` drops them
DOTTED = str.maketrans("Iİ", "ıi")  # Turkish has an i with a dot and one without, in both cases


def tokenizer(stemmer: str) -> Any:
    """Return a tokenizer of bm25s that divides texts as `words` does.

    stemmer: a language of Snowball that bm25s has stop words for, or `PLAIN`.
    """
    import Stemmer
    from bm25s.tokenization import Tokenizer

    divide = partial(lowered_words, dotted=stemmer == "turkish")
    if stemmer == PLAIN:
        return Tokenizer(lower=False, splitter=divide, stopwords=[], stemmer=str)
    endings = Stemmer.Stemmer(stemmer)
    made = Tokenizer(lower=False, splitter=divide, stopwords=stemmer, stemmer=endings)
    made.stopwords = [word for word in made.stopwords if word not in ELIDED]
    return made


def lowered_words(text: str, dotted: bool = False) -> list[str]:
    """Return the words of a text in lower case. dotted: as Turkish has it."""
    return words((text.translate(DOTTED) if dotted else text).lower())


def words(text: str) -> list[str]:
    """Return the words of a text in NFC; text without blanks gives its pairs of characters."""
    if text.isascii():
        return WORD.findall(text)
    divided: list[str] = SIGNED.findall(unicodedata.normalize("NFC", text))
    pieces: list[str] = []
    for word in divided:
        pieces.extend(_pieces(word))
    return pieces


def _pieces(word: str) -> Iterator[str]:
    """Yield overlapping pairs of unspaced characters, as Lucene's CJK analyser, and the rest."""
    for place, part in enumerate(UNSPACED.split(word)):
        is_unspaced = place % 2 == 1
        if is_unspaced and len(part) > 2:
            yield from map("".join, zip(part, part[1:], strict=False))
        elif part:
            yield part


def queries_in_words(tokenizer: Any, texts: Iterable[str]) -> list[list[str]]:
    """Return the stemmed words of queries, in the spelling of the tokenizer's vocabulary."""
    stop_words = frozenset(tokenizer.stopwords)
    queries: list[list[str]] = []
    for text in texts:
        kept: list[str] = []
        for word in tokenizer.splitter(text):
            if word not in stop_words:
                kept.append(tokenizer.stemmer(word))
        queries.append(kept)
    return queries
