"""Teachers: the classes of their entries, one for each way to come by scores."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from redistil.study.candidates import StageName
from redistil.study.fields import (
    Count,
    Entry,
    Name,
    Names,
    NotNegative,
    Once,
    Part,
    Seed,
    Whole,
    by_key,
    kinds,
    mistake,
)
from redistil.study.objectives import MARGINS, ORDER, SCORES, Targets
from redistil.study.origins import Model, Origin

_Negatives = Annotated[
    list[Annotated[Name, Names("negatives")]],
    Once,
    Field(min_length=1, description="the negatives whose pairs it scores"),
]


class Teacher(Origin):
    """Where the scores of (query, passage) pairs come from.

    re_ranks: it can score candidates; brings: it comes with negatives of its own name.
    """

    re_ranks: ClassVar[bool] = False
    brings: ClassVar[bool] = False

    def gives(self) -> Targets:
        """Say what can be learnt from its scores, as far as is declared."""
        return frozenset({SCORES, MARGINS, ORDER})

    def runs(self, backbone_of: Mapping[str, str]) -> Model | None:
        """Return the model whose scores these are, if one is here; backbone_of: of each student."""
        return None


class TrainedCell(Entry):
    """The cell of the grid that a trained teacher is."""

    student: Annotated[Name, Names("students")]
    loss: Annotated[Name, Names("losses")]
    seed: Seed


class TrainedTeacher(Teacher, kind="model"):
    """A cell of the grid, trained in this study."""

    re_ranks: ClassVar[bool] = True
    unstated_licence: ClassVar[str] = "trained here, from the sources in this table"
    model: TrainedCell
    over: _Negatives

    def runs(self, backbone_of: Mapping[str, str]) -> Model | None:
        return Model("backbone", "backbones", backbone_of[self.model.student])


class AdoptedTeacher(Teacher, kind="checkpoint"):
    """A re-ranker that others trained."""

    re_ranks: ClassVar[bool] = True
    unstated_licence: ClassVar[str] = "scored here, by the re-ranker in this table"
    checkpoint: Annotated[Name, Names("checkpoints")]
    over: _Negatives

    def runs(self, backbone_of: Mapping[str, str]) -> Model | None:
        return Model("re-ranker", "checkpoints", self.checkpoint)


class Bm25Teacher(Teacher, kind="bm25"):
    """BM25, as a first stage has it: frequencies of words in all passages."""

    re_ranks: ClassVar[bool] = True
    unstated_licence: ClassVar[str] = "computed here, from the words of the passages"
    bm25: Annotated[StageName, Field(description="whose k1, b and stemmer it takes")]
    over: _Negatives


# scores the pairs of the negatives it names
ScoringTeacher = TrainedTeacher | AdoptedTeacher | Bm25Teacher


class AveragedTeacher(Teacher, kind="average"):
    """The mean of other teachers' scores."""

    unstated_licence: ClassVar[str] = TrainedTeacher.unstated_licence
    average: Annotated[list[Annotated[Name, Names("teachers")]], Once, Field(min_length=2)]
    standardise: Annotated[
        Literal["query"] | None,
        Field(description="bring each member's scores of a query to mean 0, deviation 1 first"),
    ] = None


class ImportedTeacher(Teacher, kind="import"):
    """A published file, with triples or lists of its own."""

    brings: ClassVar[bool] = True
    file: Annotated[Annotated[Name, Names("downloads")], Field(alias="import")]
    format: Literal["scored-triples", "trec", "ranking", "id-lists", "margins"]
    unknown: Annotated[Part, Field(description="share of rows that may name an unknown id")]
    tolerance: Annotated[
        NotNegative, Field(description="logits by which two scores of a pair may differ")
    ]
    scored: Annotated[
        bool, Field(description="of a run: its scores are a model's, not places in an order")
    ] = False

    @property
    def origin(self) -> str:
        return self.file

    def gives(self) -> Targets:
        is_run = self.format in {"trec", "ranking"}
        if self.format == "id-lists" or (is_run and not self.scored):
            return frozenset({ORDER})
        if self.format == "margins":
            return frozenset({MARGINS, ORDER})
        return super().gives()


class RankingTeacher(Teacher, kind="llm"):
    """A language model that ranks the first passages of a first stage, window by window."""

    brings: ClassVar[bool] = True
    unstated_licence: ClassVar[str] = "ranked here, by the language model in this table"
    llm: Annotated[Name, Names("backbones")]
    first_stage: StageName
    depth: Annotated[Whole, Field(ge=2, description="passages of a query")]
    window: Annotated[Whole, Field(ge=2, description="passages in one request")]
    stride: Annotated[Count, Field(description="passages from one window to the next")]
    passage_words: Annotated[Count, Field(description="a passage is cut to so many")]
    context: Annotated[Whole, Field(ge=64, description="tokens of a request and its answer")]
    together: Annotated[Count, Field(description="queries answered at once")]
    at_most: Annotated[Count | None, Field(description="queries, chosen by a hash")] = None

    @model_validator(mode="after")
    def _check_stride(self) -> "RankingTeacher":
        if self.stride > self.window:
            raise mistake("more than its window skips passages", "stride")
        return self

    def gives(self) -> Targets:
        return frozenset({ORDER})

    def runs(self, backbone_of: Mapping[str, str]) -> Model | None:
        return Model("language model", "backbones", self.llm)


TEACHERS = kinds(
    TrainedTeacher, AdoptedTeacher, Bm25Teacher, AveragedTeacher, ImportedTeacher, RankingTeacher
)
AnyTeacher = Annotated[Teacher, by_key(TEACHERS)]
