"""The settings of each architecture that a student can have.

The modules themselves are in `redistil.learning.students`, one file each, under the same names.
To add an architecture, write its file there and a class here. A study says the settings under
`training`, for all its students, or in the entry of a student, for that one.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from redistil.study.fields import Count, CountOrNone, Entry, Length, Positive


class Architecture(Entry):
    """How a student reads a query and a passage. Subclasses add what only they need.

    reads_words: whether its backbone is word vectors rather than an encoder. reads_together:
    whether query and passage are one input, so that nothing of a passage can be stored. searched:
    whether its score is the inner product of one vector of each text, so that a corpus can be
    searched. loaded_as: the class of sentence-transformers that loads a trained one, if any does.
    """

    reads_words: ClassVar[bool] = False
    reads_together: ClassVar[bool] = False
    searched: ClassVar[bool] = False
    loaded_as: ClassVar[str | None] = None
    query_length: Annotated[Length, Field(description="tokens of a query, special ones excluded")]
    passage_length: Annotated[Length, Field(description="tokens of a passage")]

    @property
    def keeps(self) -> bool:
        """Whether a student computes something of a passage before it knows the query."""
        return not self.reads_together


class Cat(Architecture):
    """A cross-encoder: query and passage in one input, one logit."""

    reads_together: ClassVar[bool] = True
    loaded_as: ClassVar[str | None] = "CrossEncoder"
    pair_length: Annotated[Length, Field(description="tokens of a pair, special ones included")]
    pair_form: Annotated[
        Literal["native", "joined"],
        Field(description="as the tokenizer joins a pair, or [CLS] q [SEP] p [SEP] for all"),
    ]


class LinearCat(Cat):
    """A cross-encoder with one linear map on the raw [CLS] state (BERT_CAT of arXiv 2010.02666)."""

    loaded_as: ClassVar[str | None] = None


class Dot(Architecture):
    """A bi-encoder: the inner product of two [CLS] states (BERT_DOT of arXiv 2010.02666)."""

    searched: ClassVar[bool] = True
    loaded_as: ClassVar[str | None] = "SentenceTransformer"


class Colbert(Architecture):
    """Late interaction: of each query token the best inner product with a passage token."""

    loaded_as: ClassVar[str | None] = "MultiVectorEncoder"
    dimensions: Annotated[Count, Field(description="numbers of a token's vector")]
    masks: Annotated[CountOrNone, Field(description="[MASK] tokens that a query gets besides")]
    mask_position: Annotated[
        Literal["before", "after"], Field(description="of these, to the query's last [SEP]")
    ]
    spread: Annotated[
        Positive | None,
        Field(description="deviation of the projection's first weights; null: torch's own"),
    ] = None


class Prettr(Architecture):
    """A cross-encoder whose lower layers read query and passage apart (arXiv 2004.14255)."""

    split: Annotated[Count, Field(description="layers that read the two apart")]
    offset: Annotated[
        Literal["fixed", "batch"],
        Field(description="position of a passage: after the longest query of all, or of the batch"),
    ]

    @property
    def keeps(self) -> bool:
        """Whether the states of a passage are the same in every batch."""
        return self.offset == "fixed"


class Tk(Architecture):
    """Kernels over the cosines of contextual word vectors (arXiv 2002.01854)."""

    reads_words: ClassVar[bool] = True
    variant: Annotated[
        Literal["v2", "ecai"],
        Field(description="kernels as matchmaker 2.0 sums them, or as the first paper does"),
    ]
    layers: Annotated[Count, Field(description="transformer layers")]
    heads: Annotated[Count, Field(description="attention heads of a layer")]
    feed_forward: Annotated[Count, Field(description="width within a layer")]
    passage_start: Annotated[CountOrNone, Field(description="position of a passage's first word")]
    kernel_rate: Annotated[Positive, Field(description="of the kernels' weights: times the rate")]
    embedding_rate: Annotated[Positive, Field(description="of the word vectors: times the rate")]


ARCHITECTURES: dict[str, type[Architecture]] = {
    "cat": Cat,
    "cat-linear": LinearCat,
    "dot": Dot,
    "colbert": Colbert,
    "prettr": Prettr,
    "tk": Tk,
}


def architecture_of(settings: Any) -> Architecture:
    """Return the settings of an architecture alone, out of those of a recipe or a teacher."""
    return own_settings(ARCHITECTURES[settings["architecture"]], settings)


def own_settings(kind: type[Architecture], settings: Any) -> Architecture:
    """Return the settings that belong to an architecture; one that is not there is its default."""
    return kind.model_validate({key: settings[key] for key in kind.model_fields if key in settings})
