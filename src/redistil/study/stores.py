"""Stores of passages: of which trainings, as which numbers, in how many parts of a corpus.

Re-ranking (`states`) and search (`retrieval`) read the same store of a training and a corpus.
"""

from collections.abc import Iterator
from typing import Any

from redistil.errors import BadSettings, nearest
from redistil.study.architectures import ARCHITECTURES
from redistil.study.grid import grid_cells, retriever, searching_cells
from redistil.study.protocol import States
from redistil.study.study import Study

Artefact = tuple[tuple[str, str], dict[str, Any]]


def kept_for_reranking(study: Study, student: str) -> States | None:
    """Return how the states are stored that re-ranking by a student reads; None where none are."""
    return study.states if study.states and student in study.states.students else None


def store_of(study: Study, student: str) -> States | None:
    """Return how what a student computes of passages is stored; None where it is not."""
    how = kept_for_reranking(study, student)
    if how is None and study.retrieval and student in study.retrieval.students:
        return study.retrieval
    return how


def shards(study: Study, how: States, corpus: str) -> range:
    """Return the numbers of the parts in which a corpus is encoded."""
    return range(study.corpora[corpus].parts(how.shard))


def stored_and_retrieved(study: Study) -> Iterator[Artefact]:
    """Yield the parts of each store, and the runs of students that search."""
    datasets = study.grid.datasets
    corpora = dict.fromkeys(study.datasets[dataset].corpus for dataset in datasets)
    precision = {"precision": study.reranking.precision}
    for cell in grid_cells(study):
        how = store_of(study, cell.student)
        if how is None:
            continue
        for corpus in corpora:
            parts = shards(study, how, corpus)
            stored = precision | {"numbers": how.numbers, "shards": len(parts)}
            for shard in parts:
                yield ("embed", f"{cell.name}/{corpus}/{shard}"), stored | {"shard": shard}
    for cell in searching_cells(study):
        assert study.retrieval is not None
        for dataset in datasets:
            dropped = study.datasets[dataset].drop_identical
            settings = precision | {"depth": study.retrieval.depth, "drop_identical": dropped}
            yield ("search", f"{retriever(cell)}/{dataset}"), settings


# --- what is refused ------------------------------------------------------------------------------


def check_stores(study: Study) -> None:
    """Refuse students that keep nothing, cannot search or are not trained, and two stores of one.

    Raises BadSettings.
    """
    if study.states:
        _check_trained(study, "states", study.states)
        for name in study.states.students:
            _check_keeps(study, name)
    if study.retrieval:
        _check_trained(study, "retrieval", study.retrieval)
        for name in study.retrieval.students:
            _check_searches(study, name)
            _check_one_store(study, name, study.retrieval)


def _check_trained(study: Study, path: str, how: States) -> None:
    for name in how.students:
        if name not in study.grid.students:
            close = nearest(name, study.grid.students)
            raise BadSettings(f"{path}.students: {name!r} is not in grid.students{close}")


def _check_keeps(study: Study, name: str) -> None:
    assert study.training is not None
    student = study.students[name]
    if not study.training.reading(student).keeps:
        raise BadSettings(
            f"states.students: {name!r} is a {student.architecture} that reads query and passage "
            "together, so that nothing of a passage can be stored: leave it out"
        )


def _check_searches(study: Study, name: str) -> None:
    architecture = study.students[name].architecture
    if not ARCHITECTURES[architecture].searched:
        raise BadSettings(
            f"retrieval.students: {name!r} is a {architecture}, whose score is no inner "
            "product of one vector for each text: name a student that can search (`dot`)"
        )


def _check_one_store(study: Study, name: str, how: States) -> None:
    kept = kept_for_reranking(study, name)
    for key in ("shard", "numbers"):
        if kept and kept[key] != how[key]:
            raise BadSettings(
                f"states.{key}: {name!r} would be stored twice, as retrieval.{key} says {how[key]} "
                f"and not {kept[key]}: say the same in both"
            )
