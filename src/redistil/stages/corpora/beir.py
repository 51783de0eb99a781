"""Folders in BEIR layout: corpus.jsonl, queries.jsonl, and a TSV of qrels for each split."""

import csv
import gzip
import json
import logging
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from redistil.errors import BadSettings, BadSource, UserError
from redistil.stages.corpora.entries import Entry, Judgement, Queries, Text, by_id, known
from redistil.storage import lineage
from redistil.storage.lineage import Made

HEADER = ["query-id", "corpus-id", "score"]
QRELS_PATTERNS = ("qrels*.tsv", "qrels*.tsv.gz", "qrels/*.tsv", "qrels/*.tsv.gz")

_log = logging.getLogger(__name__)


def files(corpus: Entry, dataset: Entry | None = None) -> list[Path]:
    """Return the files that are read of a corpus, or of one of its datasets."""
    if dataset is None:
        return [_file(corpus, "corpus.jsonl")]
    return [_file(corpus, "queries.jsonl"), _qrels_file(corpus, dataset)]


def listed(config: Entry, corpus: str, dataset: str | None = None) -> list[Path]:
    """Return the files that a rule reads of a corpus in a folder; none of any other corpus.

    What the folder lacks, the command of the rule says.
    """
    source = config["corpora"][corpus]
    if "folder" not in source:
        return []
    try:
        return files(source, config["datasets"][dataset] if dataset else None)
    except UserError:
        return []


def sources(corpus: Entry, dataset: Entry | None = None) -> list[Made]:
    """Return the files that are read, each by its SHA-256."""
    return list(map(lineage.of, files(corpus, dataset)))


def passages(corpus: Entry) -> Iterator[Text]:
    """Yield the texts of corpus.jsonl in its order: title, a blank, text."""
    known(corpus, ("folder", "passages"), "corpus of a folder")
    return _texts(_file(corpus, "corpus.jsonl"))


def queries(corpus: Entry, dataset: Entry) -> Queries:
    """Return the queries that a split judges, with its qrels.

    queries.jsonl holds the queries of all splits: those of other splits are no part of this one.
    """
    known(dataset, ("split", "queries", "qrels"), "dataset of a folder")
    qrels_file = _qrels_file(corpus, dataset)
    qrels = list(_qrels(qrels_file))
    texts_file = _file(corpus, "queries.jsonl")
    texts = by_id(_texts(texts_file), str(texts_file))
    queries: dict[str, str] = {}
    for each in qrels:
        if each.query_id in texts:
            queries[each.query_id] = texts[each.query_id]
    if qrels and texts and not queries:
        judged = min(each.query_id for each in qrels)
        raise BadSource(
            f"{qrels_file} judges none of the queries of {texts_file}: it has ids as "
            f"{judged!r}, the queries as {min(texts)!r}: check that both belong together"
        )
    others = len(texts) - len(queries)
    if len(_qrels_names(Path(corpus["folder"]))) > 1:
        _log.info("%s judges %d of %d queries", qrels_file, len(queries), len(texts))
        others = 0  # they are of the other splits
    return Queries(queries, qrels, others)


def _file(corpus: Entry, name: str) -> Path:
    """Return a file of the folder, plain or gzipped."""
    if not isinstance(corpus["folder"], str) or not corpus["folder"]:
        raise BadSettings(f"corpus of a folder: `folder` must be a path, got {corpus['folder']!r}")
    folder = Path(corpus["folder"])
    for file in (folder / name, folder / f"{name}.gz"):
        if file.is_file():
            return file
    raise BadSource(
        f"{folder} has no {name} (nor {name}.gz): "
        f"{'put it there' if folder.is_dir() else 'the folder does not exist: check its path'}"
    )


def _qrels_file(corpus: Entry, dataset: Entry) -> Path:
    """Return the qrels of a split, or the only ones there are."""
    split, folder = dataset.get("split"), Path(corpus["folder"])
    names = _qrels_names(folder)
    if split is None:
        fitting = _with_stems(names, {"qrels"}) or names
        wanted = "qrels.tsv, or one file of qrels"
    elif isinstance(split, str) and re.fullmatch(r"\w[\w.-]*", split):
        stems = {f"qrels/{split}", f"qrels-{split}", f"qrels_{split}", f"qrels.{split}"}
        fitting = _with_stems(names, stems)
        wanted = f"qrels/{split}.tsv or qrels-{split}.tsv, plain or gzipped"
    else:
        raise BadSettings(f"dataset of a folder: {split!r} is not the name of a split, as `test`")
    if len(fitting) == 1:
        return folder / fitting[0]
    if fitting and split is not None:
        raise BadSource(
            f"{folder}: wanted one file of qrels for the split {split!r}, got "
            f"{' and '.join(fitting)}: keep the one that is meant"
        )
    has = ", ".join(names) or "none"
    raise BadSource(f"{folder}: wanted {wanted}; it has {has}: name a `split`, or add the file")


def _qrels_names(folder: Path) -> list[str]:
    """Return the paths of all qrels files below the folder, sorted."""
    files: list[Path] = []
    for pattern in QRELS_PATTERNS:
        files.extend(folder.glob(pattern))
    return [str(file.relative_to(folder)) for file in sorted(files)]


def _with_stems(names: list[str], stems: set[str]) -> list[str]:
    """Return the names that are one of `stems`, apart from `.tsv` and `.tsv.gz`."""
    return [name for name in names if name.removesuffix(".gz").removesuffix(".tsv") in stems]


@contextmanager
def _lines(file: Path) -> Iterator[Iterator[tuple[int, str]]]:
    """Give the numbered lines that are not blank, without byte-order mark and line ends."""
    opener: Any = gzip.open if file.suffix == ".gz" else open
    try:
        stream: IO[str]
        with opener(file, "rt", encoding="utf-8-sig", newline="\n") as stream:
            yield ((n, line.rstrip("\r\n")) for n, line in enumerate(stream, 1) if line.strip())
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadSource(
            f"{file} cannot be read to its end ({reason}): wanted UTF-8 text, fetch it anew"
        ) from None


def _texts(file: Path) -> Iterator[Text]:
    with _lines(file) as lines:
        for number, line in lines:
            yield _text(line, f"{file}, line {number}")


def _text(line: str, where: str) -> Text:
    """Return the id and text of one line: {"_id": ..., "title": ..., "text": ...}."""
    row = _object(line)
    if row is None:
        raise BadSource(f"{where}: wanted a JSON object with _id and text, got {line[:60]!r}")
    key = row.get("_id")
    if isinstance(key, int) and not isinstance(key, bool):
        key = str(key)
    if not isinstance(key, str) or not key:
        raise BadSource(f"{where}: wanted an _id that is a string, got {key!r}")
    title, text = row.get("title") or "", row.get("text") or ""
    if "text" not in row or not isinstance(title, str) or not isinstance(text, str):
        raise BadSource(f"{where}: wanted a `text` (and perhaps a `title`) that is a string")
    return Text(key, f"{title} {text}")


def _object(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _qrels(file: Path) -> Iterator[Judgement]:
    """Yield the judgements below the header that BEIR writes."""
    with _lines(file) as lines:
        _, header = next(lines, (1, ""))
        if _named(header) != HEADER:
            raise BadSource(
                f"{file}: wanted the header {' '.join(HEADER)}, divided by tabs, "
                f"got {header[:60]!r}"
            )
        for number, line in lines:
            yield _judgement(line, f"{file}, line {number}")


def _named(header: str) -> list[str]:
    try:
        return _fields(header)
    except csv.Error:
        return []


def _judgement(line: str, where: str) -> Judgement:
    try:
        query_id, doc_id, score = _fields(line)
        return Judgement(query_id, doc_id, int(score))
    except (ValueError, csv.Error):
        raise BadSource(
            f"{where}: wanted a query, a passage and a whole number, divided by tabs, "
            f"got {line[:60]!r}"
        ) from None


def _fields(line: str) -> list[str]:
    """Divide a line as BEIR does: an id with a tab or a quotation mark in it is quoted."""
    if '"' not in line:
        return line.split("\t")
    return next(csv.reader([line], delimiter="\t", strict=True))
