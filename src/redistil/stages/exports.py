"""Training data in the forms that other libraries read, with texts and raw teacher scores."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from redistil.errors import BadSettings, BadTable
from redistil.storage import lineage
from redistil.storage.identifiers import Places
from redistil.storage.lineage import SIDECAR, Made
from redistil.storage.pools import Pools, pools
from redistil.storage.scratch import scratch
from redistil.storage.tables import PASSAGES, QUERIES, Table, aside
from redistil.study.checks import check_passages

TOGETHER = 4096  # examples written at a time


@dataclass(frozen=True)
class Example:
    """A query with its passages; scores are raw logits, or None without a teacher."""

    query_id: str
    query: str
    doc_ids: list[str]
    docs: list[str]
    relevance: list[int]
    scores: list[float] | None

    def positive_first(self) -> list[int]:
        """Return the places of the passages: the best positive, then all that is no positive.

        Where nobody judged, the teacher's best is the positive, and the others follow in order.
        """
        relevant: list[int] = []
        others: list[int] = []
        for place, grade in enumerate(self.relevance):
            (relevant if grade > 0 else others).append(place)
        if relevant:
            return [max(relevant, key=self._preference), *others]
        first = max(others, key=self._preference)
        others.remove(first)
        return [first, *others]

    def _preference(self, place: int) -> float:
        return self.scores[place] if self.scores else -float(place)


Examples = Iterator[Example]


@dataclass(frozen=True)
class Export:
    """Examples to export, and the files with the texts of all queries and passages."""

    examples: Examples
    queries: Path
    passages: Path
    scored: bool
    per_example: int | None  # passages of every example, where the library wants one number

    def needs_scores(self, library: str) -> None:
        if not self.scored:
            raise BadSettings(f"{library} reads scores: name a teacher")


def export_training(
    library: str,
    files: tuple[Path, Path, Path],
    teacher: Path | None,
    out: Path,
    made: Made,
    per_example: int | None,
) -> dict[str, int]:
    """Write triples or lists into the folder `out` as `library` (a key of LIBRARIES) reads them.

    files: triples or lists, queries, passages. per_example: how many passages every example has
    where the library wants one number, shorter ones left out; None for the others. Returns how many
    were written and left out. The record comes last: a folder without it is not finished.
    """
    check_passages("--per-example", library, per_example)
    negatives, queries, passages = files
    out.mkdir(parents=True, exist_ok=True)
    _clear(out)
    with scratch(out) as texts:
        examples = _examples(negatives, queries, passages, teacher, texts)
        export = Export(examples, queries, passages, teacher is not None, per_example)
        counts = LIBRARIES[library](export, out)
    if not counts["examples"]:
        few = f" has {per_example} passages: ask for fewer" if per_example else ""
        raise BadTable(f"{negatives}: no example{few}")
    card = {
        "library": library,
        **counts,
        "scores": "raw logits, not normalised" if teacher else None,
        "ids": "strings",
        "made": made.record() | {"fingerprint": made.fingerprint},
    }
    _write_line(json.dumps(card, indent=2), out / "card.json")
    lineage.record(made, out)
    return counts


def _clear(folder: Path) -> None:
    """Remove an earlier export, perhaps for another library, or killed."""
    for name in (SIDECAR, *FILES):
        (folder / name).unlink(missing_ok=True)
    for partial in folder.glob(".*.partial"):
        partial.unlink()


def _write_line(text: str, path: Path) -> None:
    with aside(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


# --- the libraries --------------------------------------------------------------------------------


def _sentence_transformers(export: Export, out: Path) -> dict[str, int]:
    """Columns query, positive, negative_1 ... and label: the raw scores, positive first.

    Every other column would be a model input. A pair of passages has `score` instead, the margin
    (sentence-transformers >= 4: MarginMSELoss and DistillKLDivLoss of its CrossEncoder).
    """
    count = export.per_example or 0
    names = ["negative"] if count == 2 else [f"negative_{i}" for i in range(1, count)]
    schema = pa.schema(dict.fromkeys(["query", "positive", *names], pa.string()))
    if export.scored and count == 2:
        schema = schema.append(pa.field("score", pa.float32()))
    elif export.scored:
        schema = schema.append(pa.field("label", pa.list_(pa.float32())))

    def row(example: Example) -> list[Any] | None:
        places = example.positive_first()[:count]
        if len(places) < count:
            return None
        values: list[Any] = [example.query, *map(example.docs.__getitem__, places)]
        if example.scores is not None:
            scores = list(map(example.scores.__getitem__, places))
            values.append(scores[0] - scores[1] if count == 2 else scores)
        return values

    return _parquet(export.examples, out / "train.parquet", schema, row)


def _lightning_ir(export: Export, out: Path) -> dict[str, int]:
    """A run with texts for its RunDataset (targets: score); rank is mandatory there."""
    export.needs_scores("lightning-ir")
    schema = pa.schema(
        {
            "query_id": pa.string(),
            "doc_id": pa.string(),
            "rank": pa.int32(),
            "score": pa.float32(),
            "query": pa.string(),
            "text": pa.string(),
        }
    )

    written, queries = 0, _grouped(export.examples)
    with _writing(out / "run.parquet", schema) as write:
        while some := list(islice(queries, TOGETHER // 16)):
            write(list(chain.from_iterable(map(_ranked, some))))
            written += len(some)
    return {"examples": written, "left_out": 0}


def _ranked(query: Example) -> Iterator[list[Any]]:
    """Yield the rows of a query's passages, the best first."""
    scores = query.scores or []
    best = sorted(range(len(scores)), key=lambda place: -scores[place])
    for rank, place in enumerate(best, 1):
        doc_id, text = query.doc_ids[place], query.docs[place]
        yield [query.query_id, doc_id, rank, scores[place], query.query, text]


def _grouped(examples: Examples) -> Examples:
    """Yield the distinct passages of each query: a run has a query once."""
    for (query_id, query), of_query in groupby(examples, lambda each: (each.query_id, each.query)):
        passages: dict[str, tuple[Any, ...]] = {}
        for example in of_query:
            columns = example.docs, example.relevance, example.scores or []
            for doc_id, *row in zip(example.doc_ids, *columns, strict=True):
                passages.setdefault(doc_id, (*row,))
        docs, relevance, scores = map(list, zip(*passages.values(), strict=True))
        yield Example(query_id, query, list(passages), docs, relevance, scores)


def _pylate(export: Export, out: Path) -> dict[str, int]:
    """Three tables for its KDProcessing: queries, documents, and train with lists of scores.

    Its `n_ways` takes the first so many of each list, and batches them: no list may be shorter.
    """
    export.needs_scores("pylate")
    _copy_texts(QUERIES, export.queries, out / "queries.parquet", "query_id")
    _copy_texts(PASSAGES, export.passages, out / "documents.parquet", "document_id")
    schema = pa.schema(
        {
            "query_id": pa.string(),
            "document_ids": pa.list_(pa.string()),
            "scores": pa.list_(pa.float32()),
        }
    )
    count = export.per_example or 0

    def row(example: Example) -> list[Any] | None:
        if len(example.doc_ids) < count:
            return None
        return [example.query_id, example.doc_ids[:count], (example.scores or [])[:count]]

    return _parquet(export.examples, out / "train.parquet", schema, row)


def _copy_texts(table: Table, source: Path, out: Path, key: str) -> None:
    """Write the ids and texts of a table, with `key` as the name of the ids."""
    schema = pa.schema({key: pa.string(), "text": pa.large_string()})
    with aside(out) as partial, pq.ParquetWriter(partial, schema) as writer:
        for batch in table.batches(source):
            writer.write_table(pa.table(batch.columns, schema=schema))


def _tevatron(export: Export, out: Path) -> dict[str, int]:
    """JSON lines with the texts and scores of positive_passages and negative_passages."""
    written = 0
    with aside(out / "train.jsonl") as partial, partial.open("w", encoding="utf-8") as lines:
        for example in export.examples:
            first, *others = example.positive_first()
            line = {
                "query_id": example.query_id,
                "query": example.query,
                "positive_passages": [_passage(example, first)],
                "negative_passages": [_passage(example, i) for i in others],
            }
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")
            written += 1
    return {"examples": written, "left_out": 0}


def _passage(example: Example, place: int) -> dict[str, Any]:
    passage = {"docid": example.doc_ids[place], "title": "", "text": example.docs[place]}
    if example.scores is None:
        return passage
    return {**passage, "score": example.scores[place]}


def _matchmaker(export: Export, out: Path) -> dict[str, int]:
    """Tab-separated: positive score, negative score, query, positive, negative; a line a pair.

    It counts columns: blanks stand for the tabs and line ends of a text. Without a teacher the
    scores are left out, as its loader of plain triples wants it.
    """
    written = 0
    with aside(out / "train.tsv") as partial, partial.open("w", encoding="utf-8") as lines:
        for example in export.examples:
            first, *others = example.positive_first()
            scores = example.scores
            for other in others:
                columns = [example.query, example.docs[first], example.docs[other]]
                columns = list(map(_without_tabs, columns))
                if scores:
                    columns = [f"{scores[first]:.9g}", f"{scores[other]:.9g}", *columns]
                lines.write("\t".join(columns) + "\n")
                written += 1
    return {"examples": written, "left_out": 0}


def _without_tabs(text: str) -> str:
    return " ".join(text.split())


LIBRARIES: dict[str, Callable[[Export, Path], dict[str, int]]] = {
    "sentence-transformers": _sentence_transformers,
    "lightning-ir": _lightning_ir,
    "pylate": _pylate,
    "tevatron": _tevatron,
    "matchmaker": _matchmaker,
}


# all that some library is given
FILES = "card.json train.parquet run.parquet queries.parquet documents.parquet".split()
FILES += "train.jsonl train.tsv".split()


# --- reading and writing --------------------------------------------------------------------------


def _examples(
    negatives: Path, queries: Path, passages: Path, teacher: Path | None, folder: Path
) -> Examples:
    of_queries = Texts(QUERIES, queries, folder)
    of_passages = Texts(PASSAGES, passages, folder)
    for piece in pools(negatives, teacher):
        yield from _of(piece, of_queries, of_passages)


def _of(piece: Pools, of_queries: "Texts", of_passages: "Texts") -> Examples:
    query_ids, doc_ids = piece.query_id.to_pylist(), piece.doc_id.to_pylist()
    queries, docs = of_queries.of(piece.query_id), of_passages.of(piece.doc_id)
    grades = piece.relevance.tolist()
    scores = None if piece.scores is None else piece.scores.tolist()
    for n, query_id in enumerate(query_ids):
        part = slice(int(piece.offsets[n]), int(piece.offsets[n + 1]))
        yield Example(
            query_id,
            queries[n],
            doc_ids[part],
            docs[part],
            grades[part],
            None if scores is None else scores[part],
        )


class Texts:
    """The texts of a table by id, in a memory-mapped copy of its file."""

    def __init__(self, table: Table, path: Path, folder: Path) -> None:
        copy = folder / f"{table.name}.arrow"
        with pa.ipc.new_file(str(copy), table.schema) as out:
            for batch in table.batches(path):
                out.write_batch(batch.replace_schema_metadata(None))
        rows = pa.ipc.open_file(pa.memory_map(str(copy))).read_all()
        self._places, self._texts = Places(rows[0], path), rows[1]

    def of(self, ids: pa.Array) -> list[str]:
        """Return the text of each id; BadTable naming the first that has none."""
        texts: list[str] = self._texts.take(pa.array(self._places.of(ids))).to_pylist()
        return texts


@contextmanager
def _writing(path: Path, schema: pa.Schema) -> Iterator[Callable[[list[list[Any]]], None]]:
    """Give a function that appends rows to a Parquet file, which appears complete or not at all."""
    with aside(path) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:

        def write(rows: list[list[Any]]) -> None:
            columns = []
            for place, field in enumerate(schema):
                values = [row[place] for row in rows]
                columns.append(pa.array(values, field.type))
            writer.write_table(pa.table(columns, schema=schema))

        yield write


def _parquet(
    examples: Examples,
    path: Path,
    schema: pa.Schema,
    row: Callable[[Example], list[Any] | None],
) -> dict[str, int]:
    """Write a row for each example that `row` makes one of."""
    written, read = 0, 0
    with _writing(path, schema) as write:
        while some := list(islice(examples, TOGETHER)):
            rows = [values for values in map(row, some) if values is not None]
            write(rows)
            written, read = written + len(rows), read + len(some)
    return {"examples": written, "left_out": read - written}
