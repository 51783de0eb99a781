"""First stages, and the negatives that are drawn from them: the classes of their entries."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from redistil.study.fields import (
    Count,
    Entry,
    Length,
    Name,
    Names,
    Part,
    Seed,
    Text,
    Whole,
    by_key,
    kinds,
    one_or_each,
)
from redistil.study.fields import Number as _Number
from redistil.study.rules import ByRule

if TYPE_CHECKING:
    from redistil.study.study import Study

DatasetName = Annotated[Name, Names("datasets")]
DownloadName = Annotated[Name, Names("downloads")]
StageName = Annotated[Name, Names("first_stages")]
_Depth = Annotated[Count, Field(description="passages kept for each query")]

Stemmer = Literal[
    "english",
    "danish",
    "dutch",
    "french",
    "german",
    "italian",
    "norwegian",
    "portuguese",
    "russian",
    "spanish",
    "swedish",
    "turkish",
    "none",
]


class FirstStage(ByRule):
    """First stage, which finds the candidates of a query."""

    @property
    def deepest(self) -> int | None:
        """The last rank that its runs have; None where only they can say."""
        return None

    def covers(self, dataset: str) -> bool:
        """Say whether it has candidates for the queries of a dataset."""
        return True


class SpladeStage(FirstStage, kind="encoder"):
    """Sparse vectors of a learned encoder."""

    wildcard: ClassVar[str] = "splade"
    command: ClassVar[str] = "retrieve"

    encoder: Annotated[
        Annotated[Name, Names("backbones")], Field(description="with a masked-LM head")
    ]
    query_length: Annotated[Length, Field(description="tokens of a query, special ones included")]
    passage_length: Annotated[
        Length, Field(description="tokens of a passage, special ones included")
    ]
    shard: Annotated[Count, Field(description="passages that one job encodes")]
    depth: _Depth

    @property
    def deepest(self) -> int:
        return self.depth

    def how(self, study: "Study") -> dict[str, Any]:
        return {"query_length": self.query_length, "depth": self.depth}


class Bm25Stage(FirstStage, kind="k1"):
    """BM25."""

    wildcard: ClassVar[str] = "bm25"
    command: ClassVar[str] = "retrieve-bm25"
    k1: Annotated[_Number, Field(ge=0, le=10, description="term frequency saturation")]
    b: Annotated[Part, Field(description="length normalisation")]
    stemmer: Annotated[
        Stemmer, Field(description="Snowball's, with stop words; none: every word as it is")
    ]
    depth: _Depth

    @property
    def deepest(self) -> int:
        return self.depth

    def how(self, study: "Study") -> dict[str, Any]:
        return self.settings()


class ImportedStage(FirstStage, kind="import"):
    """A published run, as deep as it is."""

    wildcard: ClassVar[str] = "imported"
    command: ClassVar[str] = "import-run"
    runs: Annotated[
        DownloadName | dict[DatasetName, DownloadName],
        one_or_each(DownloadName, dict[DatasetName, DownloadName]),
        Field(alias="import", description="a run, or one for each dataset"),
    ]

    def run_of(self, dataset: str) -> str | None:
        """Return the download with the candidates of a dataset, if there is one."""
        return self.runs.get(dataset) if isinstance(self.runs, dict) else self.runs

    def covers(self, dataset: str) -> bool:
        return self.run_of(dataset) is not None


FIRST_STAGES = kinds(SpladeStage, Bm25Stage, ImportedStage)
AnyFirstStage = Annotated[FirstStage, by_key(FIRST_STAGES)]


class Negatives(Entry):
    """Training queries, each with a positive and its negatives."""

    dataset: DatasetName


class MinedNegatives(Negatives, ByRule, kind="kind"):
    """Candidates of a first stage, drawn at random from its first `depth`; unjudged ones alone,
    unless `judged` says otherwise.
    """

    wildcard: ClassVar[str] = "mined"
    command: ClassVar[str] = "mine"
    kind: Annotated[Literal["triples", "lists"], Field(description="what is written")]
    positives: Annotated[
        Literal["judged", "retrieved", "first-retrieved"],
        Field(description="all judged positives, those in the first `depth`, or the best of these"),
    ]
    first_stage: StageName
    depth: Annotated[Count, Field(description="last rank that a negative may have")]
    per_query: Annotated[Count, Field(description="negatives drawn for each query")]
    seed: Annotated[Seed, Field(description="seed of the streams that draw them")]
    at_most: Annotated[Count | None, Field(description="queries that are used")] = None
    judged: Annotated[
        Literal["include"] | None,
        Field(description="include: passages judged not relevant may be negatives"),
    ] = None

    def how(self, study: "Study") -> dict[str, Any]:
        drawn = self.settings(without=frozenset({"dataset", "first_stage"}))
        return drawn | {"relevant_from": study.datasets[self.dataset].relevant_from}


class DocpairNegatives(Negatives, ByRule, kind="docpairs"):
    """Rows of a published file of (query, positive, negative)."""

    wildcard: ClassVar[str] = "docpairs"
    command: ClassVar[str] = "export-docpairs"
    docpairs: Annotated[Text, Field(description="an id of ir_datasets")]
    at_most: Annotated[Whole, Field(ge=1, description="rows, drawn at random")]
    seed: Annotated[Seed, Field(description="seed of the stream that draws them")]

    def how(self, study: "Study") -> dict[str, Any]:
        return {"irds": self.docpairs, "at_most": self.at_most, "seed": self.seed}


class BroughtNegatives(Negatives, kind="teacher"):
    """Negatives that a teacher brings with its scores."""

    teacher: Annotated[Name, Names("teachers")]


NEGATIVES = kinds(MinedNegatives, DocpairNegatives, BroughtNegatives)
AnyNegatives = Annotated[Negatives, by_key(NEGATIVES)]
