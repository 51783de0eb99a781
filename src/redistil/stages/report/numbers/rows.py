"""The rows of the report's tables: what each holds, in the order of its columns."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Summary:
    """A mean with its interval, and its lead over the first stage with an interval of its own.

    spread: the standard deviation over seeds; None for a single seed.
    """

    value: float
    spread: float | None
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float


@dataclass(frozen=True)
class GroupValue:
    """A line of the leaderboard on one group of data sets.

    The difference is from the first stage, which has none itself; baselines have no test.
    """

    value: float
    spread: float | None
    spread_of_sets: float | None
    low: float
    high: float
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    effect: float | None
    p: float | None
    p_holm: float | None
    p_seeds: float | None
    verdict: str | None


@dataclass(frozen=True)
class SetValue:
    """A line of the leaderboard on one data set."""

    value: float
    spread: float | None


@dataclass(frozen=True)
class Line:
    """A line of the leaderboard: groups and sets are by the name of the group or data set."""

    system: str
    kind: str
    student: str | None
    loss: str | None
    seeds: int
    groups: Mapping[str, GroupValue]
    sets: Mapping[str, SetValue]

    def value(self, scope: str) -> float:
        """Return the mean on a group or a data set."""
        return self.groups[scope].value if scope in self.groups else self.sets[scope].value


@dataclass(frozen=True)
class Test:
    """A comparison of two systems or losses; p values before and after Holm's correction."""

    group: str
    family: str
    system: str
    against: str
    queries: int
    difference: float
    effect: float
    t: float
    degrees: float
    p: float
    p_holm: float
    p_randomisation: float
    p_seeds: float
    verdict: str
    p_equivalence: float
    equivalence: str


@dataclass(frozen=True)
class LossRow:
    """A loss over all its students and seeds, and its best student alone."""

    group: str
    loss: str
    students: int
    seeds: int
    value: float
    spread: float | None
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float
    effect: float
    p: float
    p_holm: float
    p_seeds: float
    verdict: str
    equivalence: str
    best_student: str | None
    best_value: float
    best_difference: float
    best_p_holm: float
    best_verdict: str


@dataclass(frozen=True)
class Cell:
    """The mean of one measure for one system on one data set."""

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
    """A published value beside ours; the interval is of the difference, over seeds."""

    paper: str
    cite: str
    system: str
    student: str | None
    loss: str | None
    column: str
    measure: str
    ours: float
    theirs: float
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


def best(leaderboard: Sequence[Line], group: str) -> Line | None:
    """Return the line of the student that is best in a group of data sets; None without any."""
    students = [line for line in leaderboard if line.kind == "student"]
    return max(students, key=lambda line: line.value(group), default=None)


def first_stage_of(leaderboard: Sequence[Line], name: str) -> Line:
    """Return the line of the first stage that everything re-ranks."""
    (line,) = [line for line in leaderboard if line.system == name]
    return line
