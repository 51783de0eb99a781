"""Commands of the stage teachers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from redistil.cli.declared import settings_from, settings_of_each
from redistil.cli.options import (
    Folder,
    In,
    Out,
    Source,
    device,
    making,
    setting,
    test_queries,
    threads,
    warn,
)
from redistil.cli.scored import by_bm25, by_model, precision
from redistil.errors import BadSettings
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QRELS, QUERIES, RUN, TEACHER_SCORES
from redistil.study.architectures import ARCHITECTURES
from redistil.study.protocol import Reranking, Validation
from redistil.study.reading import read
from redistil.study.teachers import AveragedTeacher

over = click.option(
    "--over", type=Source(), multiple=True, required=True, help="Triples or lists; repeatable."
)


@click.command()
@click.argument("checkpoint", type=Folder())
@click.argument("out", type=Out())
@setting("--architecture", click.Choice(list(ARCHITECTURES)), "How it reads a pair.")
@settings_of_each(ARCHITECTURES)
@making
def adopt(checkpoint: Path, out: Path, made: Made, **settings: Any) -> None:
    """Adopt a re-ranker that others trained.

    Its head and its lengths are checked.

    CHECKPOINT is the folder of a fetched one; OUT a folder as `train` leaves it.
    """
    from redistil.cli.runtime import quiet

    quiet(1)
    from redistil.stages.teachers import adopted

    options = {key: value for key, value in settings.items() if value is not None}
    architecture = options.pop("architecture")
    how = read(ARCHITECTURES[architecture], options, f"adopt --architecture {architecture}")
    adopted.adopt(checkpoint, out, made, {"architecture": architecture, **how.stated()})


@click.command()
@by_model
@over
@making
def score(
    model: Path,
    queries: Path,
    passages: Path,
    out: Path,
    over: tuple[Path, ...],
    precision: str,
    threads: int,
    device: str,
    made: Made,
) -> None:
    """Score the pairs of triples or lists by a model.

    A score is the raw logit of a distinct (query, passage).

    QUERIES and PASSAGES are token files under the model's tokenizer.
    """
    from redistil.cli.runtime import quiet

    quiet(threads)
    from redistil.machine.processes import Processes
    from redistil.stages import teachers

    with Processes(device) as processes:
        teachers.score(model, (queries, passages), over, out, made, precision, processes)


@click.command()
@by_bm25
@over
@making
def score_bm25(
    queries: Path,
    passages: Path,
    out: Path,
    over: tuple[Path, ...],
    k1: float,
    b: float,
    stemmer: str,
    made: Made,
) -> None:
    """Score the pairs of triples or lists by BM25.

    PASSAGES are all those of the corpus: they say how frequent a word is.
    """
    from redistil.stages.teachers import lexical

    lexical.score_bm25(queries, passages, over, out, made, k1=k1, b=b, stemmer=stemmer)


@click.command()
@click.argument("out", type=Out())
@click.argument("agreement", type=Out())
@click.argument("members", type=In(TEACHER_SCORES), nargs=-1, required=True)
@settings_from(AveragedTeacher, "standardise")
@making
def average(
    out: Path,
    agreement: Path,
    members: tuple[Path, ...],
    standardise: str | None,
    made: Made,
) -> None:
    """Average the scores of several teachers.

    MEMBERS must have scored the same pairs.

    AGREEMENT, as JSON: rank correlation and share of inverted margins of each two of them.
    """
    from redistil.stages.teachers import ensemble

    for line in ensemble.average(members, out, agreement, made, standardise):
        click.echo(line, err=True)


def runs_of(flag: str, help: str, **more: Any) -> Callable[..., Any]:
    """Return an option for runs of other systems, each with its system and dataset."""
    kind = (str, str, In(RUN))
    return setting(flag, kind, help, multiple=True, metavar="SYSTEM DATASET RUN", **more)


@click.command()
@click.argument("out", type=Out())
@setting(
    "--on",
    (str, In(RUN), In(QRELS)),
    "A validation set, the teacher's run of it and its qrels; once each.",
    multiple=True,
    metavar="DATASET RUN QRELS",
)
@runs_of("--members", "A member's run; once each.", required=False)
@runs_of("--baselines", "A run to beat, the first stage's first; once each.")
@settings_from(Validation, "measure")
@settings_from(Reranking, "depth")
@setting(
    "--relevant-from",
    click.IntRange(1),
    "The least relevant grade of each --on, in their order.",
    multiple=True,
)
@making
def gate(
    out: Path,
    on: tuple[tuple[str, Path, Path], ...],
    members: tuple[tuple[str, str, Path], ...],
    baselines: tuple[tuple[str, str, Path], ...],
    measure: str,
    depth: int,
    relevant_from: tuple[int, ...],
    made: Made,
) -> None:
    """Compare a teacher with what it has to beat.

    That is the first stages, and the best member of an ensemble, on the validation queries.

    OUT is the folder of gate.json.
    """
    from redistil.stages.teachers import gate as gates

    if len(relevant_from) != len(on):
        got = f"{len(relevant_from)} of them and {len(on)} --on"
        raise BadSettings(f"gate: wanted --relevant-from once for each --on, got {got}")
    sets = []
    for (dataset, run, qrels), grade in zip(on, relevant_from, strict=True):
        sets.append(gates.ValidationSet(dataset, run, qrels, grade))
    others = gates.Runs.of(members), gates.Runs.of(baselines)
    verdict = gates.compare(made.name, sets, *others, measure=measure, depth=depth)
    verdict.write(out, made)
    if verdict.passed:
        click.echo(str(verdict), err=True)
    else:
        warn([str(verdict)])


@click.command()
@click.argument("source", type=Source())
@click.argument("queries", type=In(QUERIES))
@click.argument("passages", type=In(PASSAGES))
@click.argument("scores", type=Out())
@click.argument("pairs", type=Out())
@setting(
    "--format",
    click.Choice(["scored-triples", "trec", "ranking", "id-lists", "margins"]),
    "Layout of SOURCE (docs/tables.md).",
)
@setting("--unknown", click.FloatRange(0, 1), "Share of rows that may name an unknown id.")
@setting("--tolerance", click.FloatRange(0), "Logits by which two scores of a pair may differ.")
@test_queries
@threads
@making
def import_scores(
    source: Path,
    queries: Path,
    passages: Path,
    scores: Path,
    pairs: Path,
    format: str,
    unknown: float,
    tolerance: float,
    test: tuple[Path, ...],
    test_elsewhere: tuple[Path, ...],
    threads: int,
    made: Made,
) -> None:
    """Import a published teacher file.

    SCORES are its scores, PAIRS the triples or lists that it scores.

    QUERIES and PASSAGES are those of the collection that it was made for.
    """
    from redistil.stages.teachers import imported
    from redistil.storage import overlaps

    shared = overlaps.overlapping(queries, test, test_elsewhere)
    warn(overlaps.said(shared, QUERIES.count(queries)))
    known = imported.Known.of(queries, passages, set(shared))
    sifted = imported.import_scores(
        source,
        known,
        scores,
        pairs,
        made,
        form=format,
        unknown=unknown,
        tolerance=tolerance,
        threads=threads,
    )
    (read, *left_out) = sifted.said()
    click.echo(read, err=True)
    warn(left_out)


@click.command()
@click.argument("checkpoint", type=Folder())
@click.argument("candidates", type=In(RUN))
@click.argument("queries", type=In(QUERIES))
@click.argument("passages", type=In(PASSAGES))
@click.argument("scores", type=Out())
@click.argument("lists", type=Out())
@click.argument("answers", type=Out())
@setting("--depth", click.IntRange(2), "Candidates of each query that are ranked.")
@setting("--window", click.IntRange(2), "Passages in one request.")
@setting("--stride", click.IntRange(1), "Places by which the window moves up.")
@setting("--passage-words", click.IntRange(1), "Words of a passage in a request.")
@setting("--context", click.IntRange(64), "Tokens of a request and its answer.")
@setting("--together", click.IntRange(1), "Queries whose requests are answered together.")
@setting("--at-most", click.IntRange(1), "Queries ranked.", required=False)
@precision
@test_queries
@threads
@device
@making
def rank(
    checkpoint: Path,
    candidates: Path,
    queries: Path,
    passages: Path,
    scores: Path,
    lists: Path,
    answers: Path,
    depth: int,
    window: int,
    stride: int,
    passage_words: int,
    context: int,
    together: int,
    at_most: int | None,
    precision: str,
    test: tuple[Path, ...],
    test_elsewhere: tuple[Path, ...],
    threads: int,
    device: str,
    made: Made,
) -> None:
    """Rank candidates by a language model, as RankZephyr does.

    SCORES and LISTS are what training reads; ANSWERS counts, as JSON, the answers that were no
    permutation and how they were repaired.
    """
    from redistil.cli.runtime import quiet

    if stride > window:
        raise BadSettings(f"stride: {stride} would pass over passages with a window of {window}")
    quiet(threads)
    from redistil.machine.processes import check_precision, device_of
    from redistil.stages.teachers import ranked
    from redistil.storage import overlaps

    where = device_of(device)
    check_precision(precision, where)
    shared = overlaps.overlapping(queries, test, test_elsewhere)
    warn(overlaps.said(shared, QUERIES.count(queries)))
    model = ranked.Model(
        checkpoint,
        context=context,
        words=passage_words,
        precision=precision,
        device=where,
    )
    tally = ranked.rank(
        model,
        candidates,
        queries,
        passages,
        (scores, lists, answers),
        made,
        depth=depth,
        window=window,
        stride=stride,
        together=together,
        at_most=at_most,
        leave_out=shared.keys(),
    )
    warn(tally.said())
