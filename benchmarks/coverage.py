"""Whether verdicts and intervals keep their promises, on simulated studies whose truth is known.

`python -m benchmarks.coverage` prints a line for each kind of study. In all of them the losses are
equal in expectation, so each difference that is found is false. A study has students, six losses,
seeds, and groups of datasets. The same trainings are measured on every group. BM25 and a teacher
stand beside them. A query's value is its difficulty, the cell's own strength on it, what the seed
is worth on the dataset, and the seed's luck with the query.

The rule of `redistil.stages.report.numbers.inference` stands beside the one before it, a paired
t-test over queries that takes the trained models as given (both corrected by Holm).

Columns. losses, baselines: how often a family finds a false difference; TOST: how often one claims
equivalence of losses that are a margin apart. coverage: of 95 % intervals of both families; least:
of the worst comparison. finds: how often a true lead is found. width: mean half-width of the
intervals between losses; old width: where each pair stands alone. detects: the smallest detectable
difference.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import click
import numpy as np

from redistil.seeds import generator
from redistil.stages.report.numbers import inference
from redistil.stages.report.numbers.inference import Cell, Comparison, Estimate, Floats, Scope

ALPHA, MARGIN = 0.05, 0.05
STRENGTH = 0.12  # standard deviation of a cell's own strength on a query
LUCK = 0.10  # of a seed's luck with a query
LEAD = 0.05  # of the last loss, where power is measured
BM25, TEACHER = "bm25", "teacher"  # the systems that no seed changes
COVERAGE = (0.94, 0.97)  # of intervals of 95 %
HEAD = [
    "losses", "baselines", "TOST", "coverage", "least", "finds", "old errs", "old finds",
    "width", "old width", "detects",
]  # fmt: skip
_AT_ONCE = 1 << 21  # values that are simulated at once: 16 MiB


@dataclass(frozen=True)
class Kind:
    """A kind of study. spread: standard deviation of what a seed is worth on a dataset.

    queries: of each dataset of a group. groups: how many have such datasets. noisy: by how much
    the first loss's spread is larger. shared: which part of the variance of seeds is common to
    equal seeds of all losses. together: which part is common to the datasets, of all groups.
    clipped: values like nDCG's, many of them 0 or 1.
    """

    name: str
    seeds: int
    spread: float
    students: int = 1
    queries: tuple[int, ...] = (200,)
    groups: int = 1
    losses: int = 6
    noisy: float = 1.0
    shared: float = 0.0
    together: float = 0.5
    clipped: bool = False


def kinds() -> list[Kind]:
    """Return every kind of study that is simulated."""
    variants = []
    for seeds in (2, 3, 4, 5):
        for spread in (0.0, 0.005, 0.02, 0.05):
            variants.append(Kind(f"{seeds} seeds, spread {spread}", seeds, spread))
    for seeds in (2, 3, 4, 5):
        for spread in (0.02, 0.05):
            name = f"{seeds} seeds, spread {spread}, a loss 3 x as noisy"
            variants.append(Kind(name, seeds, spread, noisy=3.0))
    for seeds in (2, 4):
        for spread in (0.0, 0.02):
            base = Kind(f"{seeds} seeds, spread {spread}", seeds, spread)
            for changed in _variations(base):
                variants.append(replace(changed, name=f"{base.name}, {changed.name}"))
    return variants


def _variations(base: Kind) -> Iterator[Kind]:
    yield replace(base, name="2 students", students=2)
    yield replace(base, name="2 datasets", queries=(200, 50))
    yield replace(base, name="13 datasets", queries=(50,) * 13)
    yield replace(base, name="values of 0 and 1", clipped=True)
    yield replace(base, name="50 queries, of 0 and 1", clipped=True, queries=(50,))
    yield replace(base, name="2 students, 2 datasets", students=2, queries=(200, 50))
    yield replace(base, name="2 groups, 2 students", groups=2, students=2)
    if base.spread > 0:
        yield replace(base, name="2 groups that vary as one", groups=2, together=1.0)
        yield replace(base, name="2 losses", losses=2)
        yield replace(base, name="seeds shared by half", shared=0.5)


def simulate(kind: Kind, studies: int, rng: np.random.Generator) -> list[Scope]:
    """Return the groups of `studies` studies at once, strata [studies, seeds, queries]."""
    common = rng.normal(size=(kind.students, kind.losses, studies, kind.seeds))
    everywhere = rng.normal(size=(kind.students, studies, kind.seeds))
    scopes = []
    for group in range(kind.groups):
        cells = _cells(kind, common, everywhere, rng)
        scopes.append(Scope(f"group {group}", cells))
    return scopes


def _cells(kind: Kind, common: Floats, everywhere: Floats, rng: np.random.Generator) -> list[Cell]:
    """Return the cells of one group, BM25 and the teacher last.

    common: what each training is worth on every group [students, losses, studies, seeds];
    everywhere: what equal seeds of all losses are.
    """
    studies = common.shape[2]
    cells: list[list[Floats]] = [[] for _ in range(kind.students * kind.losses)]
    still: dict[str, list[Floats]] = {BM25: [], TEACHER: []}
    for queries in kind.queries:
        difficulty = _difficulty(kind, (studies, 1, queries), rng)
        apart = rng.normal(size=common.shape)
        for student in range(kind.students):
            for loss in range(kind.losses):
                own = kind.together**0.5 * common[student, loss]
                own = own + (1 - kind.together) ** 0.5 * apart[student, loss]
                worth = (1 - kind.shared) ** 0.5 * own + kind.shared**0.5 * everywhere[student]
                scale = kind.spread * (kind.noisy if loss == 0 else 1.0)
                values = _values(kind, difficulty, scale * worth, rng)
                cells[student * kind.losses + loss].append(values)
        unchanged = replace(kind, seeds=1)
        for strata in still.values():
            strata.append(_values(unchanged, difficulty, np.zeros((studies, 1)), rng))
    named = []
    for place, strata in enumerate(cells):
        student, loss = divmod(place, kind.losses)
        named.append(Cell(f"{student}/{loss}", strata, str(student)))
    for name, strata in still.items():
        named.append(Cell(name, strata))
    return named


def _difficulty(kind: Kind, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Return what a query is worth to every cell: Beta(0.5, 0.7) spreads by 0.33 around 0.42."""
    if kind.clipped:
        return rng.beta(0.5, 0.7, shape)
    return rng.normal(0.42, 0.33, shape)


def _values(kind: Kind, difficulty: Floats, worth: Floats, rng: np.random.Generator) -> Floats:
    """Return values [studies, seeds, queries] of a cell."""
    studies, _, queries = difficulty.shape
    strength = rng.standard_normal((studies, 1, queries), dtype=np.float32) * STRENGTH
    luck = rng.standard_normal((studies, kind.seeds, queries), dtype=np.float32) * LUCK
    values = difficulty + strength + worth[:, :, None] + luck
    return np.clip(values, 0, 1) if kind.clipped else values


@dataclass
class Tally:
    """Counts of each study of a kind; every list is joined over the batches.

    wrong, wrong_baselines, old_wrong: whether a family finds a false difference. held: whether an
    interval of either family holds the truth [studies, comparisons]. finds, old_finds: which of
    the last loss's comparisons find a true lead of `LEAD`. equivalent: whether a family claims
    equivalence of losses that are `MARGIN` apart.
    """

    wrong: list[Floats]
    wrong_baselines: list[Floats]
    old_wrong: list[Floats]
    held: list[Floats]
    widths: list[Floats]
    old_widths: list[Floats]
    detectable: list[Floats]
    finds: list[Floats]
    old_finds: list[Floats]
    equivalent: list[Floats]

    @classmethod
    def empty(cls) -> "Tally":
        return cls(*([] for _ in range(10)))


def count(kind: Kind, studies: int, tally: Tally, rng: np.random.Generator) -> None:
    """Simulate some studies of a kind and add what is found to the tally."""
    scopes = simulate(kind, studies, rng)
    compared, baselines = [], []
    for scope in scopes:
        compared += inference.between_losses(scope)
        baselines += inference.with_baselines(scope, [BM25, TEACHER])
        baselines.append(inference.compare(inference.BASELINES, scope, TEACHER, BM25))
        tally.old_widths.append(_old_widths(scope, inference.between_losses(scope)))
    estimates = [comparison.estimate for comparison in compared]
    results = inference.tests(estimates, ALPHA, MARGIN)
    tally.wrong.append(results.p_holm.min(axis=-1) < ALPHA)
    tally.detectable.append(results.detectable)
    tally.widths.append(_widths(estimates))

    of_baselines = [comparison.estimate for comparison in baselines]
    tested = inference.tests(of_baselines, ALPHA, MARGIN)
    tally.wrong_baselines.append(tested.p_holm.min(axis=-1) < ALPHA)
    tally.held.append(_held([*estimates, *of_baselines]))

    old = inference.tests([_over_queries(one) for one in estimates], ALPHA, MARGIN)
    tally.old_wrong.append(old.p_holm.min(axis=-1) < ALPHA)

    last = [one.against.endswith(f"/{kind.losses - 1}") for one in compared]
    led = [_moved(one, LEAD * is_last) for one, is_last in zip(estimates, last, strict=True)]
    tally.finds.append(inference.tests(led, ALPHA, MARGIN).p_holm[:, last] < ALPHA)
    old_led = [_over_queries(one) for one in led]
    tally.old_finds.append(inference.tests(old_led, ALPHA, MARGIN).p_holm[:, last] < ALPHA)

    apart = inference.tests([_moved(one, MARGIN) for one in estimates], ALPHA, MARGIN)
    claims = np.where(apart.offered, apart.p_equivalence_holm, 1.0) < ALPHA
    tally.equivalent.append(claims.any(axis=-1))


def _widths(estimates: Sequence[Estimate]) -> Floats:
    """Return the half-widths of intervals [studies, comparisons]."""
    return np.stack([one.half_width(inference.LEVEL) for one in estimates], axis=-1)


def _held(estimates: Sequence[Estimate]) -> Floats:
    """Return which intervals hold the truth, a difference of 0 [studies, comparisons]."""
    values = np.stack([one.value for one in estimates], axis=-1)
    return np.abs(values) <= _widths(estimates)


def _moved(estimate: Estimate, by: float) -> Estimate:
    return replace(estimate, value=estimate.value + by)


def _over_queries(estimate: Estimate) -> Estimate:
    """Return an estimate that takes the trained models as given, as the old rule did."""
    return replace(estimate, seeds=replace(estimate.seeds, variance=0 * estimate.seeds.variance))


def _old_widths(scope: Scope, compared: Sequence[Comparison]) -> Floats:
    """Return the half-widths of the old intervals: each pair's seeds by themselves."""
    widths = []
    for comparison in compared:
        one, other = scope.cells[comparison.system], scope.cells[comparison.against]
        strata = [a - b for a, b in zip(one.strata, other.strata, strict=True)]
        alone = Scope("pair", [Cell("pair", strata, "pair")])
        widths.append(alone.estimate(["pair"]).half_width(inference.LEVEL))
    return np.stack(widths, axis=-1)


@dataclass(frozen=True)
class Line:
    """Numbers to print of a kind: shares, and half-widths in units of the measure."""

    kind: Kind
    studies: int
    wrong: float
    wrong_baselines: float
    coverage: float
    least: float
    width: float
    old_width: float
    detectable: float
    finds: float
    old_finds: float
    old_wrong: float
    equivalent: float
    coverage_error: float

    def broken(self) -> list[str]:
        """Return which promises are broken by more than two standard errors of the simulation."""
        chance = 2 * (ALPHA * (1 - ALPHA) / self.studies) ** 0.5
        shares = {
            "losses": self.wrong,
            "baselines": self.wrong_baselines,
            "equivalence": self.equivalent,
        }
        promises = [name for name, share in shares.items() if share > ALPHA + chance]
        low, high = COVERAGE
        slack = 2 * self.coverage_error
        if self.coverage < low - slack:
            promises.append("too narrow")
        if self.coverage > high + slack:
            promises.append("too wide")
        if self.least < low - chance:
            promises.append("least coverage")
        return promises

    def __str__(self) -> str:
        shares = [
            self.wrong, self.wrong_baselines, self.equivalent, self.coverage, self.least,
            self.finds, self.old_wrong, self.old_finds,
        ]  # fmt: skip
        sizes = [self.width, self.old_width, self.detectable]
        columns = [f"{share:10.1%}" for share in shares] + [f"{size:10.3f}" for size in sizes]
        broken = ", ".join(self.broken())
        return f"{self.kind.name:48}{''.join(columns)}  {broken or 'kept'}"


def line(kind: Kind, studies: int, seed: int = 1) -> Line:
    """Simulate studies of a kind, and return what came of it."""
    tally = Tally.empty()
    values = kind.groups * kind.students * kind.losses * kind.seeds * sum(kind.queries)
    most = max(1, _AT_ONCE // values)
    rng = generator(seed, "coverage", kind.name)
    left = studies
    while left > 0:
        count(kind, min(left, most), tally, rng)
        left -= most
    held = np.concatenate(tally.held)

    def mean(parts: Sequence[Floats]) -> float:
        return float(np.concatenate(parts).mean())

    return Line(
        kind=kind,
        studies=studies,
        wrong=mean(tally.wrong),
        wrong_baselines=mean(tally.wrong_baselines),
        coverage=float(held.mean()),
        least=float(held.mean(axis=0).min()),
        width=mean(tally.widths),
        old_width=mean(tally.old_widths),
        detectable=mean(tally.detectable),
        finds=mean(tally.finds),
        old_finds=mean(tally.old_finds),
        old_wrong=mean(tally.old_wrong),
        equivalent=mean(tally.equivalent),
        coverage_error=float(held.mean(axis=1).std() / studies**0.5),
    )


@click.command()
@click.option("--studies", default=1000, show_default=True, help="Simulated studies of each kind.")
@click.option("--quick", is_flag=True, help="Few kinds of study, 200 of each: for a first look.")
def main(studies: int, quick: bool) -> None:
    """Measure false findings, coverage and power on simulated studies."""
    chosen = kinds()
    if quick:
        chosen, studies = chosen[::7], 200
    begun = time.monotonic()
    click.echo(
        f"{studies} studies a line; two standard errors of 5 % are "
        f"{2 * (ALPHA * (1 - ALPHA) / studies) ** 0.5:.1%}. Finds: a true lead of {LEAD}."
    )
    click.echo(f"{'':48}{''.join(f'{word:>10}' for word in HEAD)}  broken")
    failed = 0
    for kind in chosen:
        result = line(kind, studies)
        failed += bool(result.broken())
        click.echo(str(result))
    click.echo(
        f"{len(chosen) - failed} of {len(chosen)} kinds keep every promise; "
        f"{time.monotonic() - begun:.0f} s."
    )


if __name__ == "__main__":
    main()
