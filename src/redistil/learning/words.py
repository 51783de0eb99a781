"""The words of a text for BM25: normalised, in lower case, without stop words and endings."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

# runs of letters and digits; one letter beside an apostrophe is the rest of a word: it's, l'eau
WORD = re.compile(r"\w{2,}|(?<!\w['\u2019])\w(?!['\u2019]\w)")

# Japanese kana, Han and their compatibility forms: scripts that put no blanks between words
UNSPACED = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)")

STOP_WORDS = {"english": "en"}  # of bm25s, for the stemmer of a language


def tokenizer(stemmer: str) -> Any:
    """Return a tokenizer of bm25s that divides texts as `words` does; lower case is its part."""
    import Stemmer
    from bm25s.tokenization import Tokenizer

    return Tokenizer(
        splitter=words, stopwords=STOP_WORDS[stemmer], stemmer=Stemmer.Stemmer(stemmer)
    )


def words(text: str) -> list[str]:
    """Return the words of a text in NFC; text without blanks gives its pairs of characters."""
    divided: list[str] = WORD.findall(unicodedata.normalize("NFC", text))
    if text.isascii() or not UNSPACED.search(text):
        return divided
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
        for word in tokenizer.splitter(text.lower()):
            if word not in stop_words:
                kept.append(tokenizer.stemmer(word))
        queries.append(kept)
    return queries
