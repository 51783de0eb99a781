"""A study: the catalogues of what exists, a grid of what to run, and a protocol."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, cast

from pydantic import Field, PlainValidator, create_model, model_validator

from redistil.study.architectures import ARCHITECTURES, Architecture
from redistil.study.backbones import AnyBackbone
from redistil.study.candidates import (
    AnyFirstStage,
    AnyNegatives,
    DatasetName,
    StageName,
)
from redistil.study.checkpoints import FORMS, Checkpoint
from redistil.study.corpora import AnyCorpus, AnyDataset, AnyDownload
from redistil.study.fields import (
    Count,
    Entry,
    Length,
    Measure,
    Name,
    Names,
    Once,
    Part,
    Seed,
    Text,
    by_value,
    kind_of,
    mistake,
)
from redistil.study.objectives import DECLARED, Loss
from redistil.study.protocol import (
    Claim,
    Export,
    Latency,
    Page,
    Publishing,
    Reranking,
    Retrieval,
    Source,
    States,
    Statistics,
    Training,
    Validation,
    optional,
    training_class,
)
from redistil.study.teachers import AnyTeacher


class Student(Entry):
    """An architecture on a backbone; its size chooses rates and batches.

    Settings of its architecture may stand beside these: they go before those of `training`.
    """

    architecture: Text
    backbone: Annotated[Name, Names("backbones")]
    size: Name


def _student(value: Any) -> Student:
    if not isinstance(value, Mapping) or "architecture" not in value:
        return Student.model_validate(value)
    kind_of(value, "architecture", dict(ARCHITECTURES))
    return _student_class(ARCHITECTURES[value["architecture"]]).model_validate(value)


@cache
def _student_class(architecture: type[Architecture]) -> type[Student]:
    fields = optional(architecture)
    return cast(type[Student], create_model("Student", __base__=Student, **fields))


def _training(value: Any) -> Training:
    return training_class().model_validate(value)


class Tokens(Entry):
    """Token files."""

    longest: Annotated[Length, Field(description="tokens that are kept of a text")]


_DatasetNames = Annotated[list[DatasetName], Once]


class Grid(Entry):
    """Grid to run: every combination of its lists."""

    students: Annotated[list[Annotated[Name, Names("students")]], Once]
    losses: Annotated[list[Annotated[Name, Names("losses")]], Once]
    seeds: Annotated[list[Seed], Once]
    fewer_seeds: Annotated[
        dict[Name, Count],
        Field(description="of these students at most so many seeds, the first of the list"),
    ] = {}
    fewer_students: Annotated[
        dict[Name, Annotated[list[Name], Once, Field(min_length=1)]],
        Field(description="these losses teach these students of the grid alone"),
    ] = {}
    datasets: Annotated[_DatasetNames, Field(min_length=1)]
    first_stage: Annotated[StageName, Field(description="whose candidates are re-ranked")]
    baselines: Annotated[list[StageName], Once]
    teachers: Annotated[list[Annotated[Name, Names("teachers")]], Once]
    checkpoints: Annotated[
        list[Annotated[Name, Names("checkpoints")]],
        Once,
        Field(description="re-rankers of others, beside the students"),
    ] = []

    @model_validator(mode="after")
    def _check_cells(self) -> "Grid":
        axes = {"students": self.students, "losses": self.losses, "seeds": self.seeds}
        empty = [axis for axis, names in axes.items() if not names]
        if empty and len(empty) < len(axes):
            raise mistake(
                "an empty list leaves nothing to train: fill it, or empty students, losses and "
                "seeds for a study without trainings",
                empty[0],
            )
        if empty and not (self.teachers or self.checkpoints or self.baselines):
            raise mistake("nothing is compared: name students, checkpoints, teachers or baselines")
        return self


class LeftOut(Entry):
    """A dataset that a study could not have, and the groups that it took with it."""

    dataset: Name
    groups: list[str]


class Study(Entry):
    """All settings of a study: params.yaml with studies/<study>.yaml on top."""

    study: Name
    title: Text
    # catalogues
    corpora: dict[Name, AnyCorpus]
    datasets: dict[Name, AnyDataset]
    downloads: dict[Name, AnyDownload]
    backbones: dict[Name, AnyBackbone]
    students: dict[Name, Annotated[Student, PlainValidator(_student)]]
    losses: dict[Name, Annotated[Loss, by_value("objective", DECLARED)]]
    tokens: Tokens
    first_stages: dict[Name, AnyFirstStage]
    least_success: Annotated[
        Part,
        Field(description="share of the judged queries that a first stage must find a passage for"),
    ]
    negatives: dict[Name, AnyNegatives]
    teachers: dict[Name, AnyTeacher]
    checkpoints: dict[Name, Annotated[Checkpoint, by_value("form", FORMS)]] = {}
    exports: dict[Name, Export]
    # the study
    grid: Grid
    kept_apart: Annotated[
        _DatasetNames,
        Field(description="besides grid.datasets: their queries are trained on by nobody"),
    ] = []
    groups: Annotated[
        Annotated[dict[str, Annotated[_DatasetNames, Field(min_length=1)]], Field(min_length=1)]
        | None,
        Field(description="unweighted means; by default in and out of domain"),
    ] = None
    table: Annotated[
        Annotated[list[str], Once, Field(min_length=1)] | None,
        Field(description="columns of the main table: datasets and groups; by default all groups"),
    ] = None
    measures: Annotated[
        list[Measure], Once, Field(min_length=1, description="the first is the headline")
    ]
    sources: Annotated[dict[str, Source], Field(description="what each kind of data is here")] = {}
    training: Annotated[
        Annotated[Training, PlainValidator(_training)] | None,
        Field(description="needed by a study with students or trained teachers"),
    ] = None
    reranking: Reranking
    latency: Annotated[Latency | None, Field(description="without it no student is timed")] = None
    states: Annotated[
        States | None, Field(description="none: each run encodes its passages anew")
    ] = None
    retrieval: Annotated[
        Retrieval | None, Field(description="none: students re-rank, and retrieve nothing")
    ] = None
    random_seed: Annotated[Seed, Field(description="seed of the random order, every table's floor")]
    claims: Annotated[
        list[Claim], Field(description="what the page answers on its first screen")
    ] = []
    statistics: Statistics
    page: Page
    publishing: Publishing
    left_out: list[LeftOut] | None = None

    @property
    def validation(self) -> Validation | None:
        """How its trainings are validated; None where they are not."""
        return self.training.validation if self.training else None

    @property
    def missing_sets(self) -> list[str]:
        """The test sets that could not be had, by name."""
        return [one.dataset for one in self.left_out or []]
