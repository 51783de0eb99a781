"""Published teacher files as tables: forty million rows in bounded memory.

Ids become codes as the rows are read, and DuckDB sorts the rows; numpy forms triples and lists.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

from redistil.errors import BadTable
from redistil.stages.teachers import ordered
from redistil.stages.teachers.forms import FORMS, Form
from redistil.storage.identifiers import Identifiers
from redistil.storage.lineage import Made
from redistil.storage.orders import Order
from redistil.storage.pieces import exactly, in_pieces, in_row_groups
from redistil.storage.sql import Database, database
from redistil.storage.stretches import stretches
from redistil.storage.tables import (
    LISTS,
    PASSAGES,
    QUERIES,
    TEACHER_SCORES,
    TRIPLES,
    aside,
)

PIECE = 1 << 21  # rows whose ids are looked up together: a look-up of text reads all known ids
SORTED = 1 << 18  # sorted rows held at a time, and what their last query has beyond

PASSAGE_IDS = ("doc_id", "positive_id", "negative_id")


@dataclass
class Sifted:
    """Counts of the rows of a file: read, kept and left out."""

    rows: int = 0
    unknown: int = 0
    first: str = ""
    held_out: int = 0
    repeated: int = 0
    differing: int = 0
    apart: float = 0.0
    order: Order = field(default_factory=Order)
    written: dict[str, int] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """The rows that are neither unknown nor held out."""
        return self.rows - self.unknown - self.held_out

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
        return lines + self.order.said()


@dataclass(frozen=True)
class Known:
    """The ids that a file may name, and which queries to hold out."""

    queries: Identifiers
    passages: Identifiers
    held_out: npt.NDArray[np.bool_]

    @staticmethod
    def of(queries: Path, passages: Path, held_out: set[str]) -> "Known":
        query_ids = Identifiers(QUERIES.read(queries, ["query_id"])["query_id"])
        doc_ids = Identifiers(PASSAGES.read(passages, ["doc_id"])["doc_id"])
        dropped = np.zeros(len(query_ids), bool)
        dropped[query_ids.codes(pa.array(sorted(held_out), pa.string()))] = True
        return Known(query_ids, doc_ids, dropped)

    def codes(self, rows: pa.Table) -> pa.Table:
        """Return rows with the codes of their ids; that of an unknown id is -1."""
        passages = [name for name in PASSAGE_IDS if name in rows.column_names]
        # all columns at once: a look-up of text goes through all known ids
        chunks = [chunk for name in passages for chunk in rows[name].chunks]
        together = self.passages.codes(pa.chunked_array(chunks))
        columns = {"query_id": self.queries.codes(rows["query_id"])}
        columns.update(zip(passages, np.split(together, len(passages)), strict=True))
        for name, codes in columns.items():
            place = rows.column_names.index(name)
            rows = rows.set_column(place, name, pa.array(codes))
        return rows

    def spelled(self, rows: pa.Table) -> pa.Table:
        """Return rows with ids for codes."""
        for place, name in enumerate(rows.column_names):
            if name.endswith("_id"):
                ids = self.queries if name == "query_id" else self.passages
                rows = rows.set_column(place, name, ids.ids(rows[name].to_numpy()))
        return rows


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

    form: a key of FORMS. unknown: the share of rows that may name an unknown id; they are left out.
    tolerance: by how much two scores of one pair may differ (logits); their mean is kept. Both
    files appear, or neither. Raises BadTable when more is wrong.
    """
    layout = FORMS[form]
    with database(scores, threads) as rows:
        sifted = _read(source, layout, known, rows)
        _refuse(source, sifted, unknown)
        with aside(scores) as first, aside(pairs) as second:
            worst = _write(rows, layout, known, (first, second), made, sifted)
            _refuse_pairs(source, sifted, worst, tolerance)
            _refuse_order(source, sifted)
    return sifted


def _read(source: Path, form: Form, known: Known, into: Database) -> Sifted:
    """Put the codes and scores of a file's usable rows into the table `rows`."""
    sifted = Sifted()
    batches = (pa.table(batch).select(form.columns) for batch in form.read(source))
    with tqdm(unit="row", unit_scale=True, desc="rows read", mininterval=2) as bar:
        for piece in exactly(batches, PIECE):
            rows = known.codes(piece)
            usable = _usable(rows, piece, known, sifted)
            into.add("rows", rows if usable.all() else rows.filter(pa.array(usable)))
            bar.update(len(piece))
    return sifted


def _usable(rows: pa.Table, piece: pa.Table, known: Known, sifted: Sifted) -> npt.NDArray[np.bool_]:
    """Return which rows to keep, and count the others; a score that is not finite is refused."""
    finite = np.ones(len(rows), bool)
    is_known = np.ones(len(rows), bool)
    for name in rows.column_names:
        values = rows[name].to_numpy()
        if name.endswith("score"):
            finite &= np.isfinite(values)
        elif name.endswith("_id"):
            is_known &= values >= 0
    if not finite.all():
        row = sifted.rows + int(np.argmin(finite)) + 1
        raise BadTable(f"row {row} of the file has a score that is missing or not finite: mend it")
    if not is_known.all() and not sifted.first:
        sifted.first = _unknown_id(rows, piece, int(np.argmin(is_known)))
    held_out = is_known & known.held_out[rows["query_id"].to_numpy()]
    sifted.rows += len(rows)
    sifted.unknown += int((~is_known).sum())
    sifted.held_out += int(held_out.sum())
    usable: npt.NDArray[np.bool_] = is_known & ~held_out
    return usable


def _unknown_id(rows: pa.Table, piece: pa.Table, row: int) -> str:
    for name in rows.column_names:
        if name.endswith("_id") and rows[name][row].as_py() < 0:
            return f"{name} {str(piece[name][row].as_py())!r}"
    raise AssertionError("every id of the row is known")


def _refuse(source: Path, sifted: Sifted, unknown: float) -> None:
    if sifted.unknown > unknown * sifted.rows:
        raise BadTable(
            f"{source}: {sifted.unknown} of {sifted.rows} rows name an unknown id (first: "
            f"{sifted.first}), more than the share of {unknown} that may: is it a file of this "
            "collection?"
        )
    if not sifted.kept:
        raise BadTable(
            f"{source}: no row to learn from: of {sifted.rows} rows {sifted.unknown} name an "
            f"unknown id, as {sifted.first or 'none'}, and {sifted.held_out} a query of a test "
            "set: give a file of this collection's training queries"
        )


def _lists(ranked: pa.Table) -> pa.Table:
    """Return ranked pairs, whole queries of them, as a list for each query."""
    query_ids = ranked["query_id"].combine_chunks().dictionary_encode()
    starts, _ = stretches(query_ids.indices.to_numpy())
    offsets = pa.array(np.append(starts, len(ranked)).astype(np.int32))
    grades = pa.array(np.zeros(len(ranked), np.int32))
    flat = {"doc_ids": ranked["doc_id"].combine_chunks(), "relevances": grades}
    columns = {"query_id": query_ids.dictionary}
    for name, values in flat.items():
        kind = LISTS.schema.field(name).type
        columns[name] = pa.ListArray.from_arrays(offsets, values, type=kind)
    return pa.table(columns, schema=LISTS.schema)


def _write(
    rows: Database,
    form: Form,
    known: Known,
    out: tuple[Path, Path],
    made: Made,
    sifted: Sifted,
) -> str:
    """Write scores and triples or lists, and count; name the pair whose scores differ most."""
    table, order = LISTS, ordered.BEST_FIRST
    if form.columns == ordered.TRIPLE:
        table, order = TRIPLES, ordered.BY_TRIPLE
    sifted.written = {table.name: 0, TEACHER_SCORES.name: 0}
    sifted.order = Order(known.spelled)
    distinct, worst = 0, ""
    with (
        TEACHER_SCORES.writer(out[0], made) as write_scores,
        table.writer(out[1], made) as write_rows,
        in_row_groups(TEACHER_SCORES, write_scores) as add_scores,
        in_row_groups(table, write_rows) as add_rows,
    ):
        for piece in in_pieces(rows.rows(f"FROM rows ORDER BY {order}"), SORTED):
            if form.columns == ordered.PAIR:
                piece = sifted.order.add(piece)
            formed = _formed(piece, form, known)
            scores = _scores(known, formed.pairs)
            add_rows(formed.rows)
            add_scores(scores)
            distinct += formed.distinct
            sifted.written[table.name] += len(formed.rows)
            sifted.written[TEACHER_SCORES.name] += len(scores)
            worst = _count_apart(formed.pairs.apart, scores, sifted) or worst
    sifted.repeated = sifted.kept - distinct
    return worst


def _count_apart(apart: ordered.Scores, scores: pa.Table, sifted: Sifted) -> str | None:
    """Count the pairs whose scores differ; name the first that differs more than any before."""
    sifted.differing += int((apart > 0).sum())
    if apart.max() <= sifted.apart:
        return None
    sifted.apart = float(apart.max())
    row = scores.slice(int(apart.argmax()), 1).to_pylist()[0]
    return f"query {row['query_id']!r}, passage {row['doc_id']!r}"


class _Formed(NamedTuple):
    """Triples or lists, the pairs in them, and the number of sorted rows that repeat no other."""

    rows: pa.Table
    pairs: ordered.Pairs
    distinct: int


def _formed(piece: pa.Table, form: Form, known: Known) -> _Formed:
    if form.columns == ordered.TRIPLE:
        codes, pairs = ordered.triples(form.solved(piece))
        return _Formed(known.spelled(codes), pairs, len(codes))
    lists = _lists(known.spelled(piece))
    pairs = ordered.pairs(piece)
    return _Formed(lists, pairs, len(pairs.score))


def _scores(known: Known, pairs: ordered.Pairs) -> pa.Table:
    return TEACHER_SCORES.rows(
        {
            "query_id": known.queries.ids(pairs.query),
            "doc_id": known.passages.ids(pairs.passage),
            "score": pairs.score,
        }
    )


def _refuse_pairs(source: Path, sifted: Sifted, worst: str, tolerance: float) -> None:
    if LISTS.name in sifted.written and sifted.repeated:
        raise BadTable(
            f"{source}: {sifted.repeated} of {sifted.rows} rows repeat a (query_id, doc_id): "
            "keep one of each"
        )
    if sifted.apart > tolerance:
        raise BadTable(
            f"{source}: {sifted.differing} pairs have scores that differ, by up to "
            f"{sifted.apart:.4g} ({worst}), and {tolerance} may: which one is the teacher's?"
        )


def _refuse_order(source: Path, sifted: Sifted) -> None:
    """Refuse lists whose ranks contradict their scores, and those that are all ties."""
    order = sifted.order
    order.refuse(str(source))
    places = order.passages - sifted.written.get(LISTS.name, 0)
    if order.tied and order.tied - order.by_rank == places:
        raise BadTable(
            f"{source}: all passages of a query have one score, and no rank tells them apart: "
            "give a file that orders them, or there is nothing to learn from"
        )
