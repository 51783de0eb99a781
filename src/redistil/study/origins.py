"""Origins and terms of entries that others may have made, as a model card tells them."""

from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from redistil.study.fields import Entry, Text


class Model(NamedTuple):
    """A model that weights descend from: what it is to them, and its entry."""

    called: str
    catalogue: str
    name: str


class Origin(Entry):
    """An entry whose texts, scores or weights others may have made.

    unstated_licence: what a card says in place of a licence, where none is declared.
    """

    unstated_licence: ClassVar[str] = "not declared: look it up before you share the weights"
    licence: Annotated[
        Text | None,
        Field(description="SPDX identifier or words; shown on model cards, remakes nothing"),
    ] = None

    @property
    def origin(self) -> str:
        """Where others publish it: an id, or a file or download by name; empty where nowhere."""
        return ""
