"""The data that the figures of a study are drawn from."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from redistil.machine.latency import Latency
from redistil.stages.report.numbers.tabulated import Tabulated
from redistil.study.study import Study


class Taught(NamedTuple):
    """A teacher's scores, and the negatives that it scored with their file."""

    teacher: str
    scores: Path
    negatives: str
    file: Path


@dataclass(frozen=True)
class Given:
    """A study, its tables, and the files that a figure may read; any of those may be empty."""

    study: Study
    tables: Tabulated
    curves: tuple[Path, ...] = ()
    measures: tuple[Path, ...] = ()
    depths: tuple[Path, ...] = ()
    teachers: tuple[Taught, ...] = ()
    validations: tuple[Path, ...] = ()
    latencies: tuple[Latency, ...] = ()

    @property
    def measure(self) -> str:
        """The headline measure."""
        return str(self.study["measures"][0])
