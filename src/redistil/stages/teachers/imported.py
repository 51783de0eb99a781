"""Published teacher files as tables, streamed: forty million rows in bounded memory.

Rows are read in pieces, their ids turned into codes, put aside in buckets of queries, and each
bucket is sorted by itself. What comes out is what sorting the whole would give.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

from redistil.errors import BadTable
from redistil.stages.teachers import ordered
from redistil.stages.teachers.forms import FORMS, Form, gathered
from redistil.storage.identifiers import Identifiers
from redistil.storage.lineage import Made
from redistil.storage.pieces import in_row_groups
from redistil.storage.spill import Buckets, buckets
from redistil.storage.tables import (
    LISTS,
    PASSAGES,
    QUERIES,
    TEACHER_SCORES,
    TRIPLES,
    Table,
    aside,
)

BUCKET = 20 << 20  # bytes of a file whose rows are sorted together: some 500,000 rows
MOST = 512  # buckets, each an open file
GATHERED = 2_000_000  # rows looked up together where ids are text: a look-up reads all known ids


@dataclass
class Sifted:
    """What became of the rows of a file."""

    rows: int = 0
    unknown: int = 0
    first: str = ""
    held_out: int = 0
    repeated: int = 0
    differing: int = 0
    apart: float = 0.0
    written: dict[str, int] = field(default_factory=dict)

    def said(self) -> list[str]:
        """Return what a reader of the log should know, a line each."""
        kept = ", ".join(f"{count} {what}" for what, count in self.written.items())
        lines = [f"{self.rows} rows read; {kept} written"]
        if self.unknown:
            lines.append(f"{self.unknown} rows name an unknown id (first: {self.first}): left out")
        if self.held_out:
            lines.append(f"{self.held_out} rows are of queries that a test set has: left out")
        if self.repeated:
            lines.append(f"{self.repeated} rows repeat a triple: kept once")
        if self.differing:
            lines.append(
                f"{self.differing} pairs have scores that differ, by {self.apart:.4g} at most: "
                "their mean is kept"
            )
        return lines


@dataclass(frozen=True)
class Known:
    """The ids that a file may name; those of queries in `held_out` are left out."""

    queries: Identifiers
    passages: Identifiers
    held_out: npt.NDArray[np.bool_]

    @property
    def bits(self) -> int:
        """Those that hold a passage's code."""
        return max(len(self.passages).bit_length(), 1)

    @staticmethod
    def of(queries: Path, passages: Path, held_out: set[str]) -> "Known":
        query_ids = Identifiers(QUERIES.read(queries, ["query_id"])["query_id"])
        doc_ids = Identifiers(PASSAGES.read(passages, ["doc_id"])["doc_id"])
        dropped = np.zeros(len(query_ids), bool)
        dropped[query_ids.codes(pa.array(sorted(held_out), pa.string()))] = True
        return Known(query_ids, doc_ids, dropped)


def import_scores(
    source: Path,
    known: Known,
    scores: Path,
    pairs: Path,
    made: Made,
    *,
    form: str,
    unknown: float,
    tolerance: float,
    threads: int,
) -> Sifted:
    """Write the teacher scores of a published file, and the triples or lists that it scores.

    form: a key of FORMS. unknown: the share of rows that may name an id which no collection here
    has; they are left out. tolerance: by how much two scores of one pair may differ (logits);
    their mean is kept. Both files appear, or neither. Raises BadTable when more is wrong.
    """
    layout = FORMS[form]
    count = int(np.clip(source.stat().st_size // BUCKET, 1, MOST))
    with buckets(scores, layout.kind, count) as aside_rows:
        sifted = _put_aside(source, layout, known, aside_rows)
        _refuse(source, sifted, unknown)
        table, work = (TRIPLES, _triples) if layout.kind == ordered.TRIPLE else (LISTS, _lists)
        parts = aside_rows.each(partial(work, known, layout), threads)
        with aside(scores) as first, aside(pairs) as second:
            _write((first, second), table, made, parts, sifted, source, tolerance)
    return sifted


def _put_aside(source: Path, form: Form, known: Known, into: Buckets) -> Sifted:
    """Read the file into the buckets."""
    sifted = Sifted()
    numeric = known.queries.numeric and known.passages.numeric
    batches = gathered(form.read(source), 1 if numeric else GATHERED)
    with tqdm(unit="row", unit_scale=True, desc="rows read", mininterval=2) as bar:
        for batch in batches:
            rows = np.empty(len(batch), form.kind)
            for name in form.scores:
                rows[name] = batch[name].to_numpy()
            rows["query_id"] = known.queries.codes(batch["query_id"])
            # passages of all columns at once: a look-up by text goes through all known ids
            chunks = [chunk for name in form.docs for chunk in batch[name].chunks]
            found = known.passages.codes(pa.chunked_array(chunks))
            for name, codes in zip(form.docs, np.split(found, len(form.docs)), strict=True):
                rows[name] = codes
            _add(rows, batch, known, into, sifted)
            bar.update(len(rows))
    return sifted


def _add(rows: Any, batch: pa.Table, known: Known, into: Buckets, sifted: Sifted) -> None:
    names = rows.dtype.names
    finite = np.logical_and.reduce([np.isfinite(rows[n]) for n in names if n.endswith("score")])
    if not finite.all():
        raise BadTable(
            f"row {sifted.rows + int(np.argmin(finite)) + 1} has a score that is missing or not "
            "finite"
        )
    is_known = np.logical_and.reduce([rows[n] >= 0 for n in names if n.endswith("_id")])
    if not is_known.all():
        if not sifted.first:
            sifted.first = _named(batch, int(np.argmin(is_known)), rows)
        sifted.unknown += int((~is_known).sum())
    sifted.rows += len(rows)
    held_out = is_known & known.held_out[rows["query_id"]]
    sifted.held_out += int(held_out.sum())
    if not is_known.all() or held_out.any():
        rows = rows.compress(is_known & ~held_out)
    into.add(rows, rows["query_id"].astype(np.int64) * into.count // len(known.queries))


def _named(batch: pa.Table, row: int, rows: Any) -> str:
    name = next(n for n in rows.dtype.names if n.endswith("_id") and rows[n][row] < 0)
    return f"{name} {str(batch[name][row].as_py())!r}"


def _refuse(source: Path, sifted: Sifted, unknown: float) -> None:
    if sifted.unknown > unknown * sifted.rows:
        raise BadTable(
            f"{source}: {sifted.unknown} of {sifted.rows} rows name an unknown id (first: "
            f"{sifted.first}), more than the share of {unknown} that may: is it a file of this "
            "collection?"
        )
    if sifted.rows == sifted.unknown + sifted.held_out:
        raise BadTable(f"{source}: no row to learn from: is it the right file?")


def _triples(known: Known, form: Form, rows: Any) -> tuple[pa.Table, Any, int]:
    found, pairs = ordered.triples(form.solved(rows), known.bits)
    table = pa.table(
        [
            known.queries.ids(found.query),
            known.passages.ids(found.positive),
            known.passages.ids(found.negative),
        ],
        schema=TRIPLES.schema,
    )
    return table, (_scores(known, pairs), pairs), found.repeated


def _lists(known: Known, form: Form, rows: Any) -> tuple[pa.Table, Any, int]:
    found, pairs, repeated = ordered.lists(rows, known.bits)
    offsets = pa.array(np.concatenate([[0], found.ends]).astype(np.int32))
    element = {name: LISTS.schema.field(name).type for name in ("doc_ids", "relevances")}
    grades = pa.array(np.zeros(len(found.doc), np.int32))
    table = pa.table(
        [
            known.queries.ids(found.query),
            pa.ListArray.from_arrays(
                offsets, known.passages.ids(found.doc), type=element["doc_ids"]
            ),
            pa.ListArray.from_arrays(offsets, grades, type=element["relevances"]),
        ],
        schema=LISTS.schema,
    )
    return table, (_scores(known, pairs), pairs), repeated


def _scores(known: Known, pairs: ordered.Pairs) -> pa.Table:
    return pa.table(
        [
            known.queries.ids(pairs.query),
            known.passages.ids(pairs.doc),
            pa.array(pairs.score),
        ],
        schema=TEACHER_SCORES.schema,
    )


def _write(
    out: tuple[Path, Path],
    table: Table,
    made: Made,
    parts: Iterator[tuple[pa.Table, Any, int]],
    sifted: Sifted,
    source: Path,
    tolerance: float,
) -> None:
    written = {table.name: 0, TEACHER_SCORES.name: 0}
    worst = ""
    with (
        TEACHER_SCORES.writer(out[0], made) as write_scores,
        table.writer(out[1], made) as write_rows,
        in_row_groups(TEACHER_SCORES, write_scores) as add_scores,
        in_row_groups(table, write_rows) as add_rows,
    ):
        for rows, (scores, pairs), repeated in parts:
            add_rows(rows)
            add_scores(scores)
            written[table.name] += len(rows)
            written[TEACHER_SCORES.name] += len(scores)
            sifted.repeated += repeated
            sifted.differing += int((pairs.apart > 0).sum())
            if len(pairs.apart) and pairs.apart.max() > sifted.apart:
                sifted.apart = float(pairs.apart.max())
                row = scores.slice(int(pairs.apart.argmax()), 1).to_pylist()[0]
                worst = f"query {row['query_id']!r}, passage {row['doc_id']!r}"
        _refuse_pairs(source, table, sifted, worst, tolerance)
    sifted.written = written


def _refuse_pairs(source: Path, table: Table, sifted: Sifted, worst: str, tolerance: float) -> None:
    if table is LISTS and sifted.repeated:
        raise BadTable(
            f"{source}: {sifted.repeated} of {sifted.rows} rows repeat a (query_id, doc_id)"
        )
    if sifted.apart > tolerance:
        raise BadTable(
            f"{source}: {sifted.differing} pairs have scores that differ, by up to "
            f"{sifted.apart:.4g} ({worst}), and {tolerance} may: which one is the teacher's?"
        )
