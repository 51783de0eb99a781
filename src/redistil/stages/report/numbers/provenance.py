"""Whether measured numbers are the ones a study asks for.

The worst failure of this pipeline is a table that is silently stale. The workflow rebuilds what
changed; this is the second, independent guard. Every measures file carries the records of all that
led to it. Before anything is computed each of those is compared with what the study now asks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from redistil.errors import Stale
from redistil.storage import lineage
from redistil.storage.lineage import Made
from redistil.study import artefacts as studies
from redistil.study.artefacts import System
from redistil.study.study import Study


def check(study: Study, measured: Sequence[Made], models: Sequence[Made]) -> None:
    """Refuse, as Stale, records that are not exactly what `study` asks for.

    measured: the records of the measures files, one for each system of the study;
    models: those of the trained models, at least one for each student's cell, and of whatever else
    the report reads.
    """
    systems: dict[str, System] = {}
    for system in studies.systems(study):
        systems[system.name] = system
    _check_complete(systems, measured)
    _check_models(systems, models)
    _check_settings(lineage.together([*measured, *models]), studies.settings_of(study))
    for made in measured:
        _check_descent(systems[made.name], made, study["grid"]["datasets"])


def _check_complete(systems: Mapping[str, System], measured: Sequence[Made]) -> None:
    seen: set[str] = set()
    for made in measured:
        if made.command == "file":
            raise Stale(f"{made.name} does not say how it was made: use `redistil evaluate`")
        if made.command != "evaluate" or made.name not in systems:
            raise Stale(
                f"{made.who} is not part of this study{studies.nearest(made.name, systems)} "
                "(leave it out, or add it to the grid)"
            )
        if made.name in seen:
            raise Stale(f"two measures files are both of {made.name}: give each system once")
        seen.add(made.name)
    missing = [name for name in systems if name not in seen]
    _refuse_missing("measures file", missing, "evaluate")


def _check_models(systems: Mapping[str, System], models: Sequence[Made]) -> None:
    trained = {made.name for made in models if made.command == "train"}
    missing = []
    for name, system in systems.items():
        if system.kind == "student" and name not in trained:
            missing.append(name)
    _refuse_missing("model", missing, "train")


def _refuse_missing(what: str, missing: Sequence[str], rule: str) -> None:
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise Stale(
            f"no {what} of {', '.join(missing[:3])}{more}, which the study asks for: make "
            f"{'it' if len(missing) == 1 else 'them'} (rule `{rule}`) and name every one"
        )


def _check_settings(
    chain: Mapping[str, Made], stated: Mapping[tuple[str, str], Mapping[str, Any]]
) -> None:
    """Refuse a chain with an artefact that the study does not ask for, or asks to be otherwise.

    Names the first in the order of the work: whatever is wrong behind it is made again with it.
    """
    wrong: dict[str, str] = {}
    for key, made in chain.items():
        reason = _wrong(made, stated)
        if reason:
            wrong[key] = reason
    for key, reason in wrong.items():
        if not wrong.keys() & set(chain[key].inputs.values()):
            more = f"; {len(wrong) - 1} more are wrong too" if len(wrong) > 1 else ""
            raise Stale(f"{reason}{more}")


def _wrong(made: Made, stated: Mapping[tuple[str, str], Mapping[str, Any]]) -> str | None:
    """Return in what an artefact is not what the study asks for; None if it is."""
    if made.command in lineage.OUTSIDE:
        return _wrong_outside(made, stated)
    wanted = stated.get((made.command, made.name))
    again = f"(`snakemake -R {made.command.replace('-', '_')}`)"
    if wanted is None:
        return (
            f"a number descends from {made.who}, which this study does not ask for: rebuild what "
            f"was made from it {again}"
        )
    for key, got, want in _differences(made.settings, wanted):
        return (
            f"{made.who} was made with {key} = {got}, and the study asks for {want}: rebuild it "
            f"{again}"
        )
    return None


def _wrong_outside(made: Made, stated: Mapping[tuple[str, str], Mapping[str, Any]]) -> str | None:
    """Let a file from elsewhere pass: its checksum is its record, and all chains agree on it.

    A table is from elsewhere only if it is a download of the study: every one that this pipeline
    writes has a record.
    """
    downloaded = ("download", made.name.removeprefix("data/downloads/")) in stated
    if downloaded or not made.name.endswith((".parquet", ".arrow")):
        return None
    return (
        f"a number descends from {made.name}, which does not say how it was made: delete it, so "
        "that `snakemake` makes it again"
    )


def _differences(got: Any, want: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (key, what there is, what is asked) wherever two settings differ."""
    if isinstance(got, Mapping) and isinstance(want, Mapping):
        for key in sorted({*got, *want}):
            yield from _differences(got.get(key), want.get(key), f"{path}.{key}" if path else key)
    elif lineage.canonical(got) != lineage.canonical(want):
        yield path, _shown(got), _shown(want)


def _shown(value: Any) -> str:
    return "nothing" if value is None else lineage.canonical(value)


def _check_descent(system: System, made: Made, datasets: Iterable[str]) -> None:
    """Refuse measures that were not taken of this system's own runs and model."""
    read = {who.partition(" ")[2] for who in made.inputs}
    for dataset in datasets:
        if f"{system.name}/{dataset}" not in read:
            raise Stale(
                f"{made.who} did not read the run {system.name}/{dataset}, but "
                f"{', '.join(sorted(read)) or 'nothing'}: do it again (`snakemake -R evaluate`)"
            )
    behind = [ancestor.who for ancestor in made.ancestors.values()]
    if system.model and f"train {system.model}" not in behind:
        raise Stale(
            f"{made.who} does not descend from the model {system.model}: re-rank and measure it "
            "again (`snakemake -R rerank`)"
        )
