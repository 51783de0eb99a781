"""The embedded corpus: docstrings of installed packages.

The query is the first paragraph of a docstring, the passage is the rest. Sources are read as text
with `ast`: nothing is imported or run. So the corpus is as old as the packages it is read from,
and the same for every Python. Their versions are part of its record. The standard library is left
out, for each Python has another. So is what a wheel holds for one Python and not for others.
"""

import ast
import gc
import importlib.metadata
import importlib.util
import inspect
import logging
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from redistil import seeds
from redistil.errors import BadSettings, BadSource
from redistil.stages.corpora.entries import Entry, Judgement, Queries, Text, known, progress, whole
from redistil.storage.lineage import Made

QUERY_WORDS = (4, 30)  # a summary; a longer first paragraph is already the description
PASSAGE_WORDS = 10  # fewer say too little to be found by
PARTS = ("train", "dev", "test", "all")

# folders that hold no documentation of the package itself: its tests, and copies of other packages
TESTS = {"test", "tests", "testing", "_testing"}
COPIES = {
    *("array_api_compat", "array_api_extra", "cobyqa", "pyprima"),
    *("extern", "externals", "third_party", "vendor", "vendored"),
}
ELDER = {"distutils"}  # numpy's wheels for Python 3.11 have it, and none for later ones

PLACEHOLDER = re.compile(r"%\(\w+\)s")  # scipy's, which it fills in when it is imported

_log = logging.getLogger(__name__)

_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class Pair(NamedTuple):
    """A docstring as a retrieval task; `doc_id` is the module path and qualified name."""

    doc_id: str
    query: str
    passage: str


class Split(NamedTuple):
    """A part of the queries: dev and test are shares of them, at_most a number of queries."""

    part: str
    dev: float
    test: float
    at_most: int | None


class Source(NamedTuple):
    """A source file and the name of its module."""

    module: str
    path: Path


def sources(corpus: Entry, dataset: Entry | None = None) -> list[Made]:
    """Return the packages that are read, each under its version."""
    return [Made("package", name, {"version": _version(name)}) for name in _packages(corpus)]


def passages(corpus: Entry) -> Iterator[Text]:
    """Yield the rest of each docstring under the name of what it documents, sorted by name."""
    for pair in pairs(_packages(corpus)):
        yield Text(pair.doc_id, pair.passage)


def queries(corpus: Entry, dataset: Entry) -> Queries:
    """Return the summaries of a part; each one's only relevant passage is its own docstring's."""
    split = _split(dataset)
    texts: dict[str, str] = {}
    qrels: list[Judgement] = []
    for pair in _in_split(pairs(_packages(corpus)), split):
        query_id = f"q:{pair.doc_id}"
        texts[query_id] = pair.query
        qrels.append(Judgement(query_id, pair.doc_id, 1))
    return Queries(texts, qrels)


def _in_split(every: Iterable[Pair], split: Split) -> list[Pair]:
    """Return the pairs of a part, at most so many: those whose queries have the least hashes."""
    chosen: list[Pair] = []
    for pair in every:
        if split.part in ("all", part(pair.query, split.dev, split.test)):
            chosen.append(pair)
    if split.at_most is None:
        return chosen
    _log.info("pydocs: %d queries in part %s", len(chosen), split.part)
    chosen.sort(key=lambda pair: seeds.fraction(f"at most: {pair.query}"))
    return chosen[: split.at_most]


def part(query: str, dev: float, test: float) -> str:
    """Return the part of a query, by its text alone: other queries never move it."""
    place = seeds.fraction(query)
    return "test" if place < test else "dev" if place < test + dev else "train"


def _split(dataset: Entry) -> Split:
    known(dataset, ("part", "dev", "test", "at_most", "queries", "qrels"), "dataset of pydocs")
    if dataset.get("part") not in PARTS:
        raise BadSettings(
            f"dataset of pydocs: `part` must be one of {', '.join(PARTS)}, "
            f"got {dataset.get('part')!r}"
        )
    needed = dataset["part"] != "all"
    dev = _share(dataset, "dev", needed)
    test = _share(dataset, "test", needed)
    if dev + test >= 1:
        raise BadSettings(f"dataset of pydocs: dev {dev} and test {test} leave nothing to train on")
    return Split(dataset["part"], dev, test, whole(dataset, "at_most", "dataset of pydocs"))


def _share(dataset: Entry, key: str, needed: bool) -> float:
    value = dataset.get(key, None if needed else 0)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise BadSettings(
            f"dataset of pydocs: `{key}` must be a share of the queries, 0 <= {key} < 1, "
            f"got {value!r}"
        )
    return float(value)


def pairs(packages: Iterable[str]) -> list[Pair]:
    """Return the pairs of all packages, sorted by doc_id; no two share a query or a passage."""
    files: list[Source] = []
    for package in packages:
        files.extend(_files(package))
    by_name: dict[str, Pair] = {}
    unreadable = 0
    with _parsing():
        for file in progress(files, "reading sources", len(files)):
            tree = _parsed(file.path)
            if tree is None:
                unreadable += 1
                continue
            for name, docstring in _documented(tree, file.module):
                pair = _pair(name, docstring)
                if pair:
                    by_name.setdefault(name, pair)
    if unreadable:
        _log.warning("pydocs: %d of %d files left out: not this Python", unreadable, len(files))
    return _unambiguous([by_name[name] for name in sorted(by_name)])


@contextmanager
def _parsing() -> Iterator[None]:
    """Parse without warnings and without the cycle collector: syntax trees have no cycles."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escape sequences in other packages
            yield
    finally:
        if collecting:
            gc.enable()


def _parsed(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return None


def _documented(node: ast.Module | _Definition, name: str) -> Iterator[tuple[str, str]]:
    """Yield (name, docstring) of a module, its classes, functions and methods."""
    docstring = ast.get_docstring(node, clean=False)
    if docstring:
        yield name, inspect.cleandoc(docstring)
    if isinstance(node, (ast.Module, ast.ClassDef)):
        for child in _definitions(node.body):
            yield from _documented(child, f"{name}.{child.name}")


def _definitions(statements: Iterable[ast.stmt]) -> Iterator[_Definition]:
    """Yield the definitions of a body, also those that depend on a condition."""
    for statement in statements:
        if isinstance(statement, _Definition):
            yield statement
        elif isinstance(statement, ast.If):
            yield from _definitions(statement.body + statement.orelse)
        elif isinstance(statement, ast.Try):
            yield from _definitions(statement.body)
            for handler in statement.handlers:
                yield from _definitions(handler.body)
            yield from _definitions(statement.orelse)


def _pair(name: str, docstring: str) -> Pair | None:
    """Return the docstring as a pair, or None if it is too short or gives its query away."""
    first, *rest = re.split(r"\n\s*\n", PLACEHOLDER.sub(" ", docstring), maxsplit=1)
    query_words, passage_words = first.split(), "".join(rest).split()
    if not _is_summary(query_words) or len(passage_words) < PASSAGE_WORDS:
        return None
    query, passage = " ".join(query_words), " ".join(passage_words)
    if query.rstrip(".:").casefold() in passage.casefold():
        return None
    return Pair(name, query, passage)


def _is_summary(words: list[str]) -> bool:
    least, most = QUERY_WORDS
    return len(words) <= most and sum(map(_has_letter, words)) >= least


def _has_letter(word: str) -> bool:
    return any(map(str.isalpha, word))


def _unambiguous(every: list[Pair]) -> list[Pair]:
    """Leave out every pair that shares its query or its passage: no answer is the only one."""
    queries, passages = Counter[str](), Counter[str]()
    for pair in every:
        queries[pair.query.casefold()] += 1
        passages[pair.passage.casefold()] += 1
    kept: list[Pair] = []
    for pair in every:
        if queries[pair.query.casefold()] == passages[pair.passage.casefold()] == 1:
            kept.append(pair)
    _log.info("pydocs: %d pairs", len(kept))
    shared = len(every) - len(kept)
    if shared:
        _log.warning(
            "pydocs: %d of %d pairs share a text with another: left out", shared, len(every)
        )
    return kept


def _packages(corpus: Entry) -> list[str]:
    names = known(corpus, ("pydocs", "passages"), "corpus pydocs")["pydocs"]
    if not isinstance(names, list) or not names or len(set(map(str, names))) != len(names):
        raise BadSettings(f"corpus pydocs: wanted a list of distinct packages, got {names!r}")
    for name in names:
        if not isinstance(name, str) or not name.isidentifier():
            raise BadSettings(f"corpus pydocs: {name!r} is not the name of a top-level package")
    return names


def _version(package: str) -> str:
    _root(package)
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        owners = importlib.metadata.packages_distributions().get(package, [])
        return importlib.metadata.version(owners[0]) if owners else "unknown"


def _root(package: str) -> Path:
    """Return the folder of a package, without importing it."""
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise BadSource(
            f"pydocs: wanted the sources of {package}, but it is not an installed package: "
            f"install it, or take it out of the corpus in params.yaml"
        )
    return Path(folders[0])


def _files(package: str) -> list[Source]:
    """Return the package's own sources, without its tests and its copies of other packages."""
    root = _root(package)
    files: list[Source] = []
    for folder, folders, names in os.walk(root):
        folders[:] = filter(_is_own, folders)
        for name in filter(_is_source, names):
            path = Path(folder, name)
            files.append(Source(_module(package, path.relative_to(root)), path))
    if not files:
        raise BadSource(f"pydocs: {package} in {root} has no sources to read: install it unzipped")
    return sorted(files)


def _module(package: str, path: Path) -> str:
    """Return the name of the module in a source, by its path in the package."""
    parts = [package, *path.with_suffix("").parts]
    if path.name == "__init__.py":
        parts.pop()
    return ".".join(parts)


def _is_own(folder: str) -> bool:
    is_left_out = folder in TESTS or folder in ELDER or folder.lstrip("_") in COPIES
    return folder.isidentifier() and not is_left_out


def _is_source(name: str) -> bool:
    stem, dot, suffix = name.rpartition(".")
    is_test = stem.startswith("test_") or stem.endswith("_test") or stem == "conftest"
    return suffix == "py" and stem.isidentifier() and not is_test
