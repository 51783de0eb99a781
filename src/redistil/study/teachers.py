"""Teachers: the classes of their entries, one for each way to come by scores."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from redistil.study.candidates import Bm25Stage, StageName
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
from redistil.study.rules import ByRule

if TYPE_CHECKING:
    from redistil.study.study import Study

_Negatives = Annotated[
    list[Annotated[Name, Names("negatives")]],
    Once,
    Field(min_length=1, description="the negatives whose pairs it scores"),
]


class Run(NamedTuple):
    """How candidates are re-ranked: a command and its settings."""

    command: str
    settings: dict[str, Any]


class Teacher(Origin, ByRule):
    """Where the scores of (query, passage) pairs come from.

    re_ranks: it can score candidates; brings: it comes with negatives of its own name.
    """

    re_ranks: ClassVar[bool] = False
    brings: ClassVar[bool] = False

    def gives(self) -> Targets:
        """Say what can be learnt from its scores, as far as is declared."""
        return frozenset({SCORES, MARGINS, ORDER})

    def run(self, study: "Study") -> Run | None:
        """Return how candidates get its scores; None where it scores its own pairs alone."""
        return None

    def runs(self, backbone_of: Mapping[str, str]) -> Model | None:
        """Return the model whose scores these are, if one is here; backbone_of: of each student."""
        return None


class ScoringTeacher(Teacher):
    """A teacher that scores the pairs of the negatives it names."""

    over: _Negatives


class ModelTeacher(ScoringTeacher):
    """A model that is here."""

    re_ranks: ClassVar[bool] = True
    wildcard: ClassVar[str] = "scored"
    command: ClassVar[str] = "score"

    def how(self, study: "Study") -> dict[str, Any]:
        return {"precision": study.reranking.precision}

    def run(self, study: "Study") -> Run:
        return Run("rerank", study.reranking.settings())


class TrainedCell(Entry):
    """The cell of the grid that a trained teacher is."""

    student: Annotated[Name, Names("students")]
    loss: Annotated[Name, Names("losses")]
    seed: Seed


class TrainedTeacher(ModelTeacher, kind="model"):
    """A cell of the grid, trained in this study."""

    unstated_licence: ClassVar[str] = "trained here, from the sources in this table"
    model: TrainedCell

    def runs(self, backbone_of: Mapping[str, str]) -> Model | None:
        return Model("backbone", "backbones", backbone_of[self.model.student])


class AdoptedTeacher(ModelTeacher, kind="checkpoint"):
    """A re-ranker that others trained."""

    unstated_licence: ClassVar[str] = "scored here, by the re-ranker in this table"
    checkpoint: Annotated[Name, Names("checkpoints")]

    def runs(self, backbone_of: Mapping[str, str]) -> Model | None:
        return Model("re-ranker", "checkpoints", self.checkpoint)


class Bm25Teacher(ScoringTeacher, kind="bm25"):
    """BM25, as a first stage has it: frequencies of words in all passages."""

    re_ranks: ClassVar[bool] = True
    wildcard: ClassVar[str] = "lexical"
    command: ClassVar[str] = "score-bm25"
    unstated_licence: ClassVar[str] = "computed here, from the words of the passages"
    bm25: Annotated[StageName, Field(description="whose k1, b and stemmer it takes")]

    def how(self, study: "Study") -> dict[str, Any]:
        stage = study.first_stages[self.bm25]
        assert isinstance(stage, Bm25Stage)
        return stage.settings(without=frozenset({"depth"}))

    def run(self, study: "Study") -> Run:
        depth = {"depth": study.reranking.depth}
        return Run("rerank-bm25", depth | self.how(study))


class AveragedTeacher(Teacher, kind="average"):
    """The mean of other teachers' scores."""

    wildcard: ClassVar[str] = "averaged"
    command: ClassVar[str] = "average"
    unstated_licence: ClassVar[str] = TrainedTeacher.unstated_licence
    average: Annotated[list[Annotated[Name, Names("teachers")]], Once, Field(min_length=2)]
    standardise: Annotated[
        Literal["query"] | None,
        Field(description="bring each member's scores of a query to mean 0, deviation 1 first"),
    ] = None

    def how(self, study: "Study") -> dict[str, Any]:
        return {"standardise": self.standardise} if self.standardise else {}

    def run(self, study: "Study") -> Run:
        return Run("fuse", self.how(study))


class ImportedTeacher(Teacher, kind="import"):
    """A published file, with triples or lists of its own."""

    wildcard: ClassVar[str] = "published"
    command: ClassVar[str] = "import-scores"
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

    def how(self, study: "Study") -> dict[str, Any]:
        return {"format": self.format, "unknown": self.unknown, "tolerance": self.tolerance}

    def gives(self) -> Targets:
        is_run = self.format in {"trec", "ranking"}
        if self.format == "id-lists" or (is_run and not self.scored):
            return frozenset({ORDER})
        if self.format == "margins":
            return frozenset({MARGINS, ORDER})
        return super().gives()


class RankingTeacher(Teacher, kind="llm"):
    """A language model that ranks the first passages of a first stage, window by window."""

    wildcard: ClassVar[str] = "ranked"
    command: ClassVar[str] = "rank"
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

    def how(self, study: "Study") -> dict[str, Any]:
        settings = self.settings(without=frozenset({"llm", "first_stage", "licence"}))
        return settings | {"precision": study.reranking.precision}

    def gives(self) -> Targets:
        return frozenset({ORDER})

    def runs(self, backbone_of: Mapping[str, str]) -> Model | None:
        return Model("language model", "backbones", self.llm)


TEACHERS = kinds(
    TrainedTeacher, AdoptedTeacher, Bm25Teacher, AveragedTeacher, ImportedTeacher, RankingTeacher
)
AnyTeacher = Annotated[Teacher, by_key(TEACHERS)]
