"""The settings of each architecture that a student can have.

The modules themselves are in `redistil.learning.students`, one file each, under the same names.
To add an architecture, write its file there and a class here.
"""

from typing import Annotated, Literal

from pydantic import Field

from redistil.study.fields import Entry, Length


class Architecture(Entry):
    """How a student reads a query and a passage. Subclasses add what only they need."""

    query_length: Annotated[Length, Field(description="tokens of a query, special ones excluded")]
    passage_length: Annotated[Length, Field(description="tokens of a passage")]


class Cat(Architecture):
    """A cross-encoder: query and passage in one input, one logit."""

    pair_length: Annotated[Length, Field(description="tokens of a pair, special ones included")]
    pair_form: Annotated[
        Literal["native", "joined"],
        Field(description="as the tokenizer joins a pair, or [CLS] q [SEP] p [SEP] for all"),
    ]


ARCHITECTURES: dict[str, type[Architecture]] = {"cat": Cat}
