"""Teachers: the classes of their entries, one for each way to come by scores."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from redistil.study.candidates import StageName
from redistil.study.fields import (
    Count,
    Entry,
    Licence,
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

_Negatives = Annotated[
    list[Annotated[Name, Names("negatives")]],
    Once,
    Field(min_length=1, description="the negatives whose pairs it scores"),
]


class Teacher(Entry):
    """Where the scores of (query, passage) pairs come from.

    re_ranks: it can score candidates; brings: it comes with negatives of its own name.
    """

    re_ranks: ClassVar[bool] = False
    brings: ClassVar[bool] = False
    licence: Licence = None

    def gives(self) -> Targets:
        """Say what can be learnt from its scores, as far as is declared."""
        return frozenset({SCORES, MARGINS, ORDER})


class TrainedCell(Entry):
    """The cell of the grid that a trained teacher is."""

    student: Annotated[Name, Names("students")]
    loss: Annotated[Name, Names("losses")]
    seed: Seed


class TrainedTeacher(Teacher, kind="model"):
    """A cell of the grid, trained in this study."""

    re_ranks: ClassVar[bool] = True
    model: TrainedCell
    over: _Negatives


class AdoptedTeacher(Teacher, kind="checkpoint"):
    """A re-ranker that others trained."""

    re_ranks: ClassVar[bool] = True
    checkpoint: Annotated[Name, Names("checkpoints")]
    over: _Negatives


class Bm25Teacher(Teacher, kind="bm25"):
    """BM25, as a first stage has it: frequencies of words in all passages."""

    re_ranks: ClassVar[bool] = True
    bm25: Annotated[StageName, Field(description="whose k1, b and stemmer it takes")]
    over: _Negatives


# scores the pairs of the negatives it names
ScoringTeacher = TrainedTeacher | AdoptedTeacher | Bm25Teacher


class AveragedTeacher(Teacher, kind="average"):
    """The mean of other teachers' scores."""

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


TEACHERS = kinds(
    TrainedTeacher, AdoptedTeacher, Bm25Teacher, AveragedTeacher, ImportedTeacher, RankingTeacher
)
AnyTeacher = Annotated[Teacher, by_key(TEACHERS)]
