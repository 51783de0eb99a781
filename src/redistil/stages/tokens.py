"""Token ids of a corpus under one tokenizer: made once, read by all training and re-ranking."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from tokenizers import Tokenizer
from tqdm import tqdm

from redistil.errors import BadSource
from redistil.storage import ragged
from redistil.storage.lineage import Made
from redistil.storage.tables import Table

TEXTS = 1024  # texts in one call of the tokenizer, which holds some 200 bytes a token


def tokenize(
    checkpoint: Path, table: Table, texts: Path, out: Path, made: Made, longest: int
) -> None:
    """Write the first `longest` token ids of every text, without special tokens, in file order.

    Streams: memory does not grow with the collection. Reads `tokenizer.json`, the form in which
    `fetch` and `build` leave every tokenizer: the library behind transformers, without its imports.
    """
    tokenizer = load(checkpoint / "tokenizer.json")
    with (
        ragged.writer(out, made) as append,
        tqdm(total=table.count(texts), unit="text", mininterval=2) as bar,
    ):
        for batch in _pieces(table, texts):
            append(batch[0].to_pylist(), _ids(tokenizer, batch["text"].to_pylist(), longest))
            bar.update(len(batch))


def load(path: Path) -> Tokenizer:
    """Return the tokenizer of a file, without truncation and padding; BadSource if it is none."""
    if not path.exists():
        raise BadSource(f"{path} does not exist: put the checkpoint in place with `redistil fetch`")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no narrower class
        raise BadSource(
            f"{path} is not a tokenizer ({error}): fetch the checkpoint again"
        ) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _ids(tokenizer: Tokenizer, texts: list[str], longest: int) -> list[list[int]]:
    encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)  # without offsets
    return [encoding.ids[:longest] for encoding in encoded]


def _pieces(table: Table, texts: Path) -> Iterator[pa.RecordBatch]:
    for batch in table.batches(texts):
        for start in range(0, len(batch), TEXTS):
            yield batch.slice(start, TEXTS)
