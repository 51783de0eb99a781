"""The recipe of one training: all settings that it needs, resolved."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from redistil.errors import BadSettings
from redistil.study.architectures import ARCHITECTURES
from redistil.study.fields import (
    Count,
    CountOrNone,
    Entry,
    NotNegative,
    Positive,
    Precision,
    Seed,
    Text,
    Whole,
)
from redistil.study.protocol import Memory
from redistil.study.reading import read


class Validated(Entry):
    """Datasets that a training is validated on, each with its least grade of a relevant passage."""

    datasets: dict[str, Count]
    first_stage: Text
    depth: Count
    every: Count
    measure: Text
    keep: Literal["best", "last"]
    patience: Count | None = None
    not_before: Count | None = None


class Recipe(Entry):
    """The settings of one training. Those of its architecture stand beside these.

    Only what this training reads is in it, so that no other one's settings can retrain it.
    """

    student: Text
    architecture: Text
    backbone: Text
    loss: Text
    objective: Text
    options: dict[str, Any]
    seed: Seed
    predecessor: Text | None
    negatives: Text
    teacher: Text | None
    passages: Annotated[Whole, Field(ge=2, description="passages that a query shows in a step")]
    in_batch: Annotated[bool, Field(description="those of other queries are negatives too")] = False
    batch: Annotated[Count, Field(description="queries of a step")]
    steps: Count
    warmup_steps: CountOrNone
    learning_rate: NotNegative
    schedule: Literal["linear", "cosine", "constant"]
    stair: Count | None = None
    epsilon: Positive
    weight_decay: NotNegative
    clip_norm: Positive | None
    precision: Precision
    memory: Memory
    compile: bool
    validation: Validated | None

    @property
    def pairs(self) -> int:
        """How many pairs of query and passage a step has at most."""
        return self.batch * self.passages * (self.batch if self.in_batch else 1)


@cache
def recipe_class(architecture: str) -> type[Recipe]:
    """Return `Recipe` with the settings of an architecture."""
    bases: Any = (Recipe, ARCHITECTURES[architecture])
    with_settings: type[Recipe] = create_model(f"Recipe{architecture}", __base__=bases)
    return with_settings


def recipe(settings: Mapping[str, Any], where: str = "the recipe") -> Recipe:
    """Return a recipe as it was written; BadSettings names what is wrong, and `where`."""
    architecture = settings.get("architecture")
    if architecture not in ARCHITECTURES:
        raise BadSettings(
            f"{where}, architecture: wanted one of {', '.join(ARCHITECTURES)}, got {architecture!r}"
        )
    return read(recipe_class(architecture), settings, where)
