"""The rows of the report's tables: what each holds, in the order of its columns."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, TypeVar

from redistil.stages.report.numbers.inference import Record


@dataclass(frozen=True)
class GroupValue:
    """A line of the leaderboard on one group of datasets.

    low, high: the interval over queries and seeds; queries_low, queries_high: over queries alone.
    The difference is from the first stage, which has none itself; baselines have no test.
    """

    value: float
    spread: float | None
    spread_of_sets: float | None
    low: float
    high: float
    queries_low: float
    queries_high: float
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    effect: float | None
    p: float | None
    p_holm: float | None
    verdict: str | None


@dataclass(frozen=True)
class SetValue:
    """A line of the leaderboard on one dataset."""

    value: float
    spread: float | None


@dataclass(frozen=True)
class Line:
    """A line of the leaderboard: groups and sets are by the name of the group or dataset."""

    system: str
    kind: str
    student: str | None
    loss: str | None
    seeds: int
    groups: Mapping[str, GroupValue]
    sets: Mapping[str, SetValue]

    def value(self, scope: str) -> float:
        """Return the mean on a group or a dataset."""
        return self.groups[scope].value if scope in self.groups else self.sets[scope].value


@dataclass(frozen=True)
class Test:
    """A comparison of two systems on a group: the one record that everything shows.

    difference: `system` less `against`; low, high: its interval over what `over` says;
    queries_low, queries_high: over queries alone. p_holm: corrected over the family, of `size`
    comparisons; the verdict rests on it. detectable: the smallest true difference that the
    family's hardest step finds in four of five studies. p_equivalence: corrected, None where the
    study could not show it. effect: Cohen's d over queries. p_randomisation: of the trainings as
    they are, over queries alone; no verdict rests on it.
    """

    group: str
    family: str
    system: str
    against: str
    over: str
    queries: int
    difference: float
    low: float
    high: float
    queries_low: float
    queries_high: float
    effect: float
    p: float
    p_holm: float
    size: int
    verdict: str
    detectable: float
    p_equivalence: float | None
    p_randomisation: float

    def turned(self) -> "Test":
        """Return the same comparison from the other side."""
        words = {"better": "worse", "worse": "better"}
        return replace(
            self,
            system=self.against,
            against=self.system,
            difference=-self.difference,
            low=-self.high,
            high=-self.low,
            queries_low=-self.queries_high,
            queries_high=-self.queries_low,
            effect=-self.effect,
            verdict=words.get(self.verdict, self.verdict),
        )

    @staticmethod
    def of(record: Record, queries: int, effect: float, p_randomisation: float) -> "Test":
        """Return the row of a record."""
        return Test(
            group=record.group,
            family=record.family,
            system=record.system,
            against=record.against,
            over=record.over,
            queries=queries,
            difference=record.difference,
            low=record.low,
            high=record.high,
            queries_low=record.queries_low,
            queries_high=record.queries_high,
            effect=effect,
            p=record.p,
            p_holm=record.p_holm,
            size=record.size,
            verdict=record.word,
            detectable=record.detectable,
            p_equivalence=record.p_equivalence_holm,
            p_randomisation=p_randomisation,
        )


@dataclass(frozen=True)
class Verdicts:
    """How many comparisons ended with each word."""

    better: int
    equivalent: int
    undecided: int
    worse: int

    @property
    def same(self) -> int:
        """How many are not distinguishable or equivalent."""
        return self.equivalent + self.undecided

    @property
    def turned(self) -> "Verdicts":
        """The verdicts of the other side."""
        return Verdicts(self.worse, self.equivalent, self.undecided, self.better)

    def __str__(self) -> str:
        return f"{self.better}/{self.same}/{self.worse}"


@dataclass(frozen=True)
class Versus:
    """Two losses on a group: the mean lead over all students of both, and their verdicts."""

    group: str
    loss: str
    against: str
    difference: float
    low: float
    high: float
    verdicts: Verdicts


@dataclass(frozen=True)
class LossRow:
    """A loss over all its students and seeds against the first stage, and its best student.

    The mean over students is in no family of tests: it has an interval and no word. verdicts: of
    its students against the first stage.
    """

    group: str
    loss: str
    students: int
    seeds: int
    value: float
    spread: float | None
    difference: float
    difference_low: float
    difference_high: float
    verdicts: Verdicts
    best_student: str | None
    best_value: float
    best_difference: float
    best_p_holm: float
    best_verdict: str


@dataclass(frozen=True)
class Cell:
    """The mean of one measure for one system on one dataset."""

    system: str
    kind: str
    student: str | None
    loss: str | None
    seed: int | None
    dataset: str
    measure: str
    value: float
    queries: int


@dataclass(frozen=True)
class PublishedRow:
    """A published value beside ours; the interval is of the difference, over seeds.

    measured: of the checkpoint that its authors published, where the study has it. Where the study
    trains no counterpart, that is `ours` too.
    """

    paper: str
    cite: str
    system: str
    student: str | None
    loss: str | None
    column: str
    measure: str
    ours: float
    theirs: float
    measured: float | None
    difference: float
    low: float | None
    high: float | None
    verdict: str
    seeds: int
    spread: float | None
    their_spread: float | None
    published_as: str
    superseded_by: str | None
    remark: str | None
    source: str
    note: str


@dataclass(frozen=True)
class Wait:
    """A published latency of a student: milliseconds to re-rank so many passages, elsewhere."""

    student: str
    passages: int
    milliseconds: float
    published_as: str
    source: str


@dataclass(frozen=True)
class Size:
    """How large a student is, and the family of its network, as transformers calls it."""

    parameters: int
    family: str


@dataclass(frozen=True)
class Source:
    """The measures file that a system's numbers were read from, and its fingerprint."""

    file: str
    fingerprint: str


def flat(line: Line) -> dict[str, object]:
    """Return a line of the leaderboard as its columns in a CSV file."""
    columns: dict[str, object] = {
        "system": line.system,
        "kind": line.kind,
        "student": line.student,
        "loss": line.loss,
        "seeds": line.seeds,
    }
    scopes: dict[str, GroupValue | SetValue] = {**line.groups, **line.sets}
    for scope, values in scopes.items():
        for key, value in asdict(values).items():
            columns[scope if key == "value" else f"{scope} {key}"] = value
    return columns


class OnGroup(Protocol):
    """A row that is about one group of datasets."""

    @property
    def group(self) -> str:
        """The name of the group."""


Row = TypeVar("Row", bound=OnGroup)


def of_group(rows: Iterable[Row], group: str) -> list[Row]:
    """Return the rows of one group, in their order."""
    return [row for row in rows if row.group == group]


def of_kind(leaderboard: Iterable[Line], kind: str) -> list[Line]:
    """Return the lines of one kind, in their order."""
    return [line for line in leaderboard if line.kind == kind]


def by_system(leaderboard: Iterable[Line]) -> dict[str, Line]:
    """Return the lines by their names."""
    lines = {}
    for line in leaderboard:
        lines[line.system] = line
    return lines


def best(leaderboard: Iterable[Line], group: str) -> Line | None:
    """Return the line of the student that is best in a group of datasets; None without any."""
    students = of_kind(leaderboard, "student")
    return max(students, key=lambda line: line.value(group), default=None)


def taught(grid: Mapping[str, Any], leaderboard: Iterable[Line]) -> dict[str, list[Line]]:
    """Return each student's lines, in the order of the grid's losses; some are not for all."""
    lines = by_system(leaderboard)
    students: dict[str, list[Line]] = {}
    for student in grid["students"]:
        names = [f"{student}/{loss}" for loss in grid["losses"]]
        students[student] = [lines[name] for name in names if name in lines]
    return students
