"""Word vectors with a vocabulary of words: the backbone of TK.

The vocabulary is the words of some corpora. Vectors come from a text file in GloVe's form, one word
and its numbers a line, or are drawn. Words of the file that no corpus has are left out: they could
never match.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from redistil.errors import BadSource
from redistil.seeds import generator
from redistil.storage import lineage
from redistil.storage.aside import files_aside
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES

_log = logging.getLogger(__name__)

Vectors = npt.NDArray[np.float32]

PAD, UNKNOWN = "[PAD]", "[UNK]"
NAME = "word_embeddings.weight"  # of the matrix, as TK reads it


def collect(
    passages: Sequence[Path],
    out: Path,
    made: Made,
    *,
    width: int,
    least: int,
    vectors: str | None,
    seed: int,
) -> None:
    """Write the words of corpora and a vector for each into the folder `out`.

    width: numbers of a vector; least: times that a word occurs; vectors: a file in GloVe's form,
    without which all are drawn from `seed`. Words that the file lacks are drawn, and counted.
    Raises BadSource for a file that is not of this form; nothing is written then.
    """
    words = _frequent(passages, least)
    if not words:
        raise BadSource(f"no word occurs {least} times in {passages[0]}: lower `least`")
    matrix = _drawn(len(words) + 2, width, seed)
    if vectors is not None:
        path = Path(vectors)
        count = _fill(matrix, words, path)
        _log.warning(
            "%s: %d of %d words have no vector in %s",
            made.name,
            len(words) - count,
            len(words),
            path,
        )
        made = made.reading(lineage.of(path))
    with files_aside(out) as partial:
        _write_tokenizer(words, partial)
        config = {"model_type": "redistil-words", "width": width, "vocab_size": len(matrix)}
        (partial / "config.json").write_text(json.dumps(config) + "\n")
        save_file({NAME: matrix}, partial / "model.safetensors", metadata={"format": "pt"})
    lineage.record(made, out)


# --- words ----------------------------------------------------------------------------------------


def _splitter() -> tuple[normalizers.Normalizer, pre_tokenizers.PreTokenizer]:
    """Return how a text is divided: in lower case and NFC, words and signs apart."""
    normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    return normalizer, pre_tokenizers.Whitespace()


def _frequent(passages: Sequence[Path], least: int) -> list[str]:
    """Return the words that occur so often, the most frequent first."""
    normalizer, splitter = _splitter()
    counts: Counter[str] = Counter()
    for text in _texts(passages):
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)):
            counts[word] += 1
    for special in (PAD, UNKNOWN):
        counts.pop(special, None)
    frequent = [(word, count) for word, count in counts.items() if count >= least]
    frequent.sort(key=lambda pair: (-pair[1], pair[0]))
    return [word for word, _ in frequent]


def _texts(passages: Sequence[Path]) -> Iterator[str]:
    for path in passages:
        for batch in PASSAGES.batches(path):
            yield from batch["text"].to_pylist()


def _write_tokenizer(words: Sequence[str], folder: Path) -> None:
    ids = {word: number for number, word in enumerate([PAD, UNKNOWN, *words])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.normalizer, tokenizer.pre_tokenizer = _splitter()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "unk_token": UNKNOWN,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")


# --- vectors --------------------------------------------------------------------------------------


def _drawn(count: int, width: int, seed: int) -> Vectors:
    """Return random vectors of length 1; that of the padding is 0."""
    matrix = generator(seed, "word vectors").standard_normal((count, width)).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    matrix[0] = 0
    return matrix


class _Line(NamedTuple):
    number: int
    word: str
    numbers: str


def _fill(matrix: Vectors, words: Sequence[str], path: Path) -> int:
    """Put the vectors of a file into the rows of their words; return how many there were."""
    width = matrix.shape[1]
    rows = {word: number for number, word in enumerate(words, start=2)}
    first: dict[str, int] = {}  # the line of each word
    for line in _lines(path, width):
        if line.word in first:
            raise BadSource(
                f"{path}, line {line.number}: {line.word!r} has a vector in line "
                f"{first[line.word]} already: keep one of them"
            )
        first[line.word] = line.number
        if line.word in rows:
            matrix[rows[line.word]] = _numbers(line, path)
    return len(first.keys() & rows.keys())


def _lines(path: Path, width: int) -> Iterator[_Line]:
    """Yield the words of a file, each with its numbers; refuse vectors of another width."""
    if not path.is_file():
        raise BadSource(f"{path} does not exist: put the word vectors there, or check the path")
    with path.open(encoding="utf-8", newline="\n") as stream:
        try:
            for number, text in enumerate(stream, start=1):
                word, *numbers = text.rstrip("\r\n ").split(" ", 1)
                count = numbers[0].count(" ") + 1 if numbers else 0
                if number == 1 and count == 1:
                    _check_header(path, numbers[0], width)
                    continue
                if count != width:
                    raise BadSource(
                        f"{path}, line {number}: wanted a word and {width} numbers (the width of "
                        f"the backbone), got {count}: give the width of the file"
                    )
                yield _Line(number, word, numbers[0])
        except UnicodeDecodeError:
            raise BadSource(f"{path} is not UTF-8 text: unpack it, or convert it") from None


def _check_header(path: Path, text: str, width: int) -> None:
    """Refuse the first line of word2vec's form where it tells another width."""
    if text != str(width):
        raise BadSource(
            f"{path}, line 1: wanted a word and {width} numbers, or a header that says {width}, "
            f"got {text!r}: give the width of the file"
        )


def _numbers(line: _Line, path: Path) -> Vectors:
    try:
        vector = np.array(line.numbers.split(" "), np.float32)
    except ValueError:
        vector = np.array([np.nan])
    if not np.isfinite(vector).all():
        raise BadSource(f"{path}, line {line.number}: the vector of {line.word!r} is no numbers")
    return vector
