"""States on disk: the numbers that a student computes of each passage before it knows a query.

An Arrow IPC file with the columns `id` and `states`, in record batches of `WINDOW` passages (the
last may be shorter). The numbers of a passage stand row by row: one row of `width` numbers for the
passage, or one for each of its tokens. Opening a file copies nothing, as with token files.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redistil.errors import BadTable, Stale
from redistil.storage import digests, lineage
from redistil.storage.lineage import Made
from redistil.storage.ragged import Ragged
from redistil.storage.tables import aside

WINDOW = 1024  # passages encoded and written together
WIDTH = b"width"  # where the schema keeps the numbers of a row
KINDS: dict[str, pa.DataType] = {"float32": pa.float32(), "float16": pa.float16()}

Numbers = npt.NDArray[np.floating[Any]]
Sizes = npt.NDArray[np.int64]


@contextmanager
def writer(
    path: Path, made: Made, numbers: str, width: int
) -> Iterator[Callable[[pa.Array, Numbers, Sizes], None]]:
    """Give a function that appends passages; the file appears complete or not at all.

    numbers: one of `KINDS`. The function takes ids [n], rows [R, width], and how many rows each
    passage has [n].
    """
    kind = KINDS[numbers]
    metadata = {lineage.KEY: made.dumps(), WIDTH: str(width)}
    schema = _schema(kind).with_metadata(metadata)
    footer = {digests.KEY: digests.BLANK.decode()}
    with aside(path) as partial:
        with (
            pa.OSFile(str(partial), "wb") as sink,
            pa.ipc.new_file(sink, schema, metadata=footer) as out,
        ):

            def append(ids: pa.Array, rows: Numbers, sizes: Sizes) -> None:
                offsets = np.concatenate([[0], np.cumsum(sizes * width)])
                values = pa.array(rows.ravel().astype(kind.to_pandas_dtype()))
                states = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)
                column = states.cast(schema.field("states").type)
                out.write_batch(pa.record_batch([ids, column], schema=schema))

            yield append
        digests.seal(partial)


def _schema(kind: pa.DataType) -> pa.Schema:
    return pa.schema([("id", pa.string()), ("states", pa.large_list(pa.field("number", kind)))])


class Stored:
    """The states in a file, and the record of what made them. width: numbers of a row."""

    def __init__(self, path: Path) -> None:
        self.path, self.made = path, lineage.of(path)
        self.batches, self.width = _batches(path)

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    def ids(self) -> pa.ChunkedArray:
        """Return the ids in the order of the file."""
        return pa.chunked_array([batch["id"] for batch in self.batches], pa.string())

    def rows(self) -> Iterator[Numbers]:
        """Yield the rows [R, width] of some passages after the other, as views of the file."""
        for batch in self.batches:
            values: Numbers = batch["states"].flatten().to_numpy()
            yield values.reshape(-1, self.width)

    @property
    def bytes_per_passage(self) -> float:
        """How many bytes the states of a passage take, on average."""
        taken = sum(rows.nbytes for rows in self.rows())
        return taken / max(1, len(self))


class Corpus:
    """The states of all passages of a corpus, by their rows in its token file.

    stores: its shards, in order. Nothing is read before a passage is asked for.
    """

    def __init__(self, stores: Sequence[Stored]) -> None:
        self._width = stores[0].width
        batches = [batch["states"] for stored in stores for batch in stored.batches]
        self._starts = [0, *accumulate(map(len, batches))]
        self._offsets: list[Sizes] = [batch.offsets.to_numpy() for batch in batches]
        self._numbers: list[Numbers] = [batch.values.to_numpy() for batch in batches]

    def __getitem__(self, passage: int) -> Numbers:
        """Return the rows [R, width] of a passage, as a view of its file."""
        batch = bisect_right(self._starts, passage) - 1
        place = int(passage) - self._starts[batch]
        start, end = self._offsets[batch][place : place + 2]
        return self._numbers[batch][start:end].reshape(-1, self._width)


def _batches(path: Path) -> tuple[list[pa.RecordBatch], int]:
    """Return the batches of a file, mapped into memory, and the width of a row."""
    try:
        file = pa.ipc.open_file(pa.memory_map(str(path)))
        width = int((file.schema.metadata or {}).get(WIDTH, 0))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadTable(f"{path} holds no states ({error}): {digests.again(path)}") from None
    if not width or file.schema.remove_metadata() not in map(_schema, KINDS.values()):
        raise BadTable(
            f"{path} holds no states: wanted id and states with their width, got "
            f"{', '.join(file.schema.names)}: name a file that `redistil embed` wrote"
        )
    return list(map(file.get_batch, range(file.num_record_batches))), width


def check_tokens(model: Path, tokens: Path) -> None:
    """Refuse, as Stale, a token file whose tokenizer is not that of a model."""
    trained, made = lineage.of(model), lineage.of(tokens)
    if not set(made.inputs.values()) & trained.chain().keys():
        raise Stale(
            f"{tokens} is not under the tokenizer of {trained.who}: wanted tokens made from its "
            f"backbone, got {made.who}: name the token file of that backbone"
        )


def check_stores(model: Path, stores: Sequence[Stored]) -> None:
    """Refuse, as Stale, states that another model made, and others than all shards of a corpus."""
    trained = lineage.of(model)
    for place, stored in enumerate(stores):
        made = stored.made
        if trained.fingerprint not in made.inputs.values():
            raise Stale(
                f"{stored.path} holds states of another model: wanted those of {trained.who} "
                f"({trained.fingerprint}), got {made.who}: embed the passages with this model"
            )
        shard, shards = made.settings.get("shard"), made.settings.get("shards")
        if (shard, shards) != (place, len(stores)):
            raise Stale(
                f"{stored.path} is shard {shard} of {shards}: wanted shard {place} of "
                f"{len(stores)}: name all shards of one corpus, in order"
            )


def check_passages(tokens: Ragged, stores: Sequence[Stored]) -> None:
    """Refuse, as Stale, states of other passages than those of a token file."""
    made = lineage.of(tokens.path)
    for stored in stores:
        if made.fingerprint not in stored.made.inputs.values():
            raise Stale(
                f"{stored.path} holds states of other passages: wanted those of {tokens.path} "
                f"({made.who}, {made.fingerprint}), got {stored.made.who}: embed these tokens"
            )
    parts = [chunk for stored in stores for chunk in stored.ids().chunks]
    ids = pa.chunked_array(parts, pa.string())
    if ids != tokens.ids():
        raise Stale(
            f"{stores[0].path} and the shards after it hold other passages: wanted the "
            f"{len(tokens)} of {tokens.path} in its order, got {len(ids)}: embed these tokens"
        )
