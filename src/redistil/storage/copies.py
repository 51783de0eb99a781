"""Passages with the same text as a relevant one: they answer the query too.

Texts are compared in NFC: an accent may be a character of its own.
"""

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from redistil.storage.tables import PASSAGES

Hashes = Mapping[str, int]


@dataclass(frozen=True)
class Copies:
    """Texts of the positives and of their copies, by doc_id, as hashes.

    absent: positives that the corpus lacks.
    """

    hashes: Hashes = field(default_factory=dict)
    absent: frozenset[str] = frozenset()

    def of(self, positives: Collection[str], pool: Collection[str]) -> set[str]:
        """Return the passages of `pool` whose text equals that of one of `positives`."""
        texts = {self.hashes[doc_id] for doc_id in positives if doc_id in self.hashes}
        return {doc_id for doc_id in pool if self.hashes.get(doc_id) in texts}


def find(passages: Path, positives: Collection[str]) -> Copies:
    """Return the copies of `positives` in a corpus, after two passes over its texts.

    Memory: the hashes of the positives and of their copies alone.
    """
    wanted = frozenset(positives)
    of_positives: dict[str, int] = {}
    for doc_id, text in _texts(passages):
        if doc_id in wanted:
            of_positives[doc_id] = hash(text)
    texts = frozenset(of_positives.values())
    hashes: dict[str, int] = {}
    for doc_id, text in _texts(passages):
        if text and hash(text) in texts:
            hashes[doc_id] = hash(text)
    return Copies(hashes, wanted - of_positives.keys())


def _texts(passages: Path) -> Iterator[tuple[str, str]]:
    for batch in PASSAGES.batches(passages):
        texts = map(_composed, batch["text"].to_pylist())
        yield from zip(batch["doc_id"].to_pylist(), texts, strict=True)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
