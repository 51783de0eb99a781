"""Backbones: checkpoints fetched from a hub, read from a folder, or built here."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from redistil.study.fields import (
    Count,
    CountOrNone,
    Entry,
    Kinds,
    Length,
    Name,
    Names,
    NotNegative,
    Once,
    Part,
    Positive,
    Rate,
    Seed,
    Text,
    Whole,
    by_key,
    by_value,
    kinds,
    mistake,
)
from redistil.study.origins import Origin
from redistil.study.rules import ByRule

if TYPE_CHECKING:
    from redistil.study.study import Study


class Backbone(Origin, ByRule):
    """A checkpoint with its tokenizer.

    of_words: its vocabulary is words, with a vector each, and no encoder is in it.
    """

    of_words: ClassVar[bool] = False


class FetchedBackbone(Backbone):
    """A checkpoint that others made."""

    wildcard: ClassVar[str] = "fetched"
    command: ClassVar[str] = "fetch"

    def how(self, study: "Study") -> dict[str, Any]:
        return {"source": self.settings()}


class HubBackbone(FetchedBackbone, kind="hub"):
    """A checkpoint of the Hugging Face hub."""

    hub: Annotated[Text, Field(description="an id of the Hugging Face hub")]
    revision: Text
    lower_case: Annotated[
        bool | None, Field(description="for a tokenizer that forgets to lower-case")
    ] = None

    @property
    def origin(self) -> str:
        return self.hub


class FolderBackbone(FetchedBackbone, kind="folder"):
    """A checkpoint in a folder."""

    folder: Text
    lower_case: bool | None = None


class Bm25Teacher(Entry):
    """The private teacher of a warm-up: parameters of BM25, and the weights of its losses."""

    k1: NotNegative
    b: Part
    depth: Annotated[Count, Field(description="near passages to draw from")]
    scale: Annotated[Positive, Field(description="divides BM25's scores")]
    margins: Annotated[NotNegative, Field(description="weight of its margins; the contrast has 1")]
    tokens: Annotated[NotNegative, Field(description="weight of what each token is asked")]


class Gate(Entry):
    """A re-ranking of training queries that the warm-up of an encoder never saw."""

    queries: Annotated[Count, Field(description="held-out queries; a quarter of all at most")]
    depth: Annotated[Whole, Field(ge=2, description="candidates of each")]
    least: Annotated[Part, Field(description="nDCG@10; below it the backbone is refused")]


class Warmup(Entry):
    """How a backbone learns what a match is, before any study trains it."""

    steps: CountOrNone
    queries: Annotated[Count, Field(description="queries of a step")]
    negatives: Annotated[CountOrNone, Field(description="other passages of each query")]
    learning_rate: Annotated[Rate, Field(description="peak")]
    query_length: Length
    passage_length: Length
    seed: Seed


class EncoderWarmup(Warmup):
    """The warm-up of an encoder, taught by BM25 too."""

    called: ClassVar[str | None] = "the warm-up of bert and modernbert"
    bm25: Bm25Teacher
    gate: Gate | None = None


class SpladeWarmup(Warmup):
    """The warm-up of a SPLADE encoder."""

    called: ClassVar[str | None] = "the warm-up of splade"
    flops: Annotated[NotNegative, Field(description="weight of the penalty for dense vectors")]


class Build(Entry):
    """A tiny checkpoint, made from a corpus."""

    family: Text
    corpus: Annotated[Name, Names("corpora")]
    dataset: Annotated[Name, Names("datasets")]
    vocabulary: Annotated[Whole, Field(ge=300, le=100000, description="word pieces")]
    layers: Annotated[Whole, Field(ge=1, le=48, description="transformer layers")]
    width: Annotated[Whole, Field(ge=8, le=4096, description="dimensions of a hidden state")]
    heads: Annotated[Whole, Field(ge=1, le=64, description="attention heads")]

    @model_validator(mode="after")
    def _check_heads(self) -> "Build":
        if self.width % self.heads:
            raise mistake(f"{self.width} is no multiple of {self.heads} heads", "width")
        return self


class EncoderBuild(Build):
    """A tiny encoder."""

    family: Literal["bert", "modernbert"]
    warmup: EncoderWarmup


class SpladeBuild(Build):
    """A tiny SPLADE encoder."""

    family: Literal["splade"]
    warmup: SpladeWarmup


FAMILIES: Kinds = {"bert": EncoderBuild, "modernbert": EncoderBuild, "splade": SpladeBuild}


class BuiltBackbone(Backbone, kind="build"):
    """A checkpoint that is made here."""

    wildcard: ClassVar[str] = "built"
    command: ClassVar[str] = "build"
    unstated_licence: ClassVar[str] = "made here, from the training passages"
    build: Annotated[Build, by_value("family", FAMILIES)]

    def how(self, study: "Study") -> dict[str, Any]:
        recipe = self.build.settings(without=frozenset({"corpus", "dataset"}))
        return recipe | {"relevant_from": study.datasets[self.build.dataset].relevant_from}


class Words(Entry):
    """Words of corpora, with vectors."""

    corpora: Annotated[
        list[Annotated[Name, Names("corpora")]], Once, Field(min_length=1, description="its words")
    ]
    width: Annotated[Whole, Field(ge=2, le=4096, description="numbers of a vector")]
    least: Annotated[Count, Field(description="times that a word occurs in the corpora")]
    vectors: Annotated[
        Text | None, Field(description="a text file in GloVe's form; without it all are drawn")
    ] = None
    seed: Annotated[Seed, Field(description="of the vectors that are drawn")]


class WordsBackbone(Backbone, kind="words"):
    """Word vectors and a vocabulary of words, for students that read words."""

    wildcard: ClassVar[str] = "worded"
    command: ClassVar[str] = "collect-words"
    of_words: ClassVar[bool] = True
    words: Words

    def how(self, study: "Study") -> dict[str, Any]:
        return self.words.settings(without=frozenset({"corpora"}))


BACKBONES = kinds(HubBackbone, FolderBackbone, BuiltBackbone, WordsBackbone)
AnyBackbone = Annotated[Backbone, by_key(BACKBONES)]
