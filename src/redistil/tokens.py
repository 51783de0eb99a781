"""Token ids of a collection under one tokenizer: made once, read by every training and re-ranking."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from tqdm import tqdm

from redistil import ragged
from redistil.lineage import Made
from redistil.students.cat import load_tokenizer
from redistil.tables import Table

TEXTS = 4096  # texts a call of the tokenizer


def tokenize(checkpoint: Path, table: Table, texts: Path, out: Path, made: Made, longest: int) -> None:
    """Write the first `longest` token ids of every text, without special tokens, in file order.

    Streams: memory does not grow with the collection.
    """
    tokenizer = load_tokenizer(checkpoint)
    with (
        ragged.writer(out, made) as append,
        tqdm(total=table.count(texts), unit="text", mininterval=2) as bar,
    ):
        for batch in _pieces(table, texts):
            ids = tokenizer(
                batch["text"].to_pylist(), add_special_tokens=False, truncation=True, max_length=longest
            )["input_ids"]
            append(batch[0].to_pylist(), ids)
            bar.update(len(batch))


def _pieces(table: Table, texts: Path) -> Iterator[pa.RecordBatch]:
    for batch in table.batches(texts):
        for start in range(0, len(batch), TEXTS):
            yield batch.slice(start, TEXTS)
