"""How a study trains, re-ranks, compares, shows and gives away."""

from functools import cache
from typing import Annotated, Any, Literal, cast, get_type_hints

from pydantic import Field, create_model

from redistil.errors import BadSettings
from redistil.study.architectures import ARCHITECTURES, Architecture, own_settings
from redistil.study.candidates import DatasetName, StageName
from redistil.study.fields import (
    Count,
    CountOrNone,
    Entry,
    Name,
    Names,
    NotNegative,
    Number,
    Once,
    Positive,
    Precision,
    Rate,
    Seed,
    Text,
    Whole,
    matching,
    one_or_each,
)

_Source = Annotated[Text, Names("sources")]
_TeacherName = Annotated[Name, Names("teachers")]
_NegativesName = Annotated[Name, Names("negatives")]


class Source(Entry):
    """One kind of training data of a study."""

    negatives: _NegativesName
    passages: Annotated[Whole, Field(ge=2, description="passages that a query shows in a step")]
    teacher: _TeacherName | None = None
    in_batch: Annotated[
        bool,
        Field(description="the passages of a step's other queries are negatives too; labels only"),
    ] = False


class Memory(Entry):
    """Padded tokens in memory while training."""

    at_once: Annotated[Whole, Field(ge=64, description="of one forward pass")]
    held: Annotated[
        CountOrNone,
        Field(description="of all passes of a step, kept for the backward pass"),
    ]


class Validation(Entry):
    """When a training is measured, on what, and which weights are kept."""

    datasets: Annotated[list[DatasetName], Once, Field(min_length=1)]
    first_stage: StageName
    depth: Count
    every: Annotated[Count, Field(description="steps")]
    measure: Annotated[
        str,
        matching(
            r"(nDCG|RR|AP)(@[1-9][0-9]*)?", description="nDCG, RR or AP, with or without a cutoff"
        ),
        Field(description="a measure: nDCG, RR or AP, with or without a cutoff"),
    ]
    keep: Literal["best", "last"]
    patience: Annotated[
        Count | None, Field(description="validations without a new best, then it stops")
    ] = None
    not_before: Annotated[
        Count | None, Field(description="steps that a training has at least, with patience")
    ] = None


class Optimiser(Entry):
    """AdamW and its schedule."""

    schedule: Annotated[
        Literal["linear", "cosine", "constant"],
        Field(description="of the rate after the warm-up"),
    ]
    stair: Annotated[
        Count | None, Field(description="steps after which the rate changes, where not at each")
    ] = None
    epsilon: Positive
    weight_decay: NotNegative
    clip_norm: Annotated[Positive | None, Field(description="null: no clipping")]


class Size(Entry):
    """Rates and batches of students of one size."""

    learning_rate: Annotated[
        Rate | dict[_Source, Rate],
        one_or_each(Rate, dict[_Source, Rate]),
        Field(description="peak; of every training, or of those that read each source"),
    ]
    steps: Annotated[
        Count | dict[_Source, Count],
        one_or_each(Count, dict[_Source, Count]),
        Field(description="of every training, or of those that read each source"),
    ]
    warmup_steps: CountOrNone
    batch: Annotated[dict[_Source, Count], Field(description="queries of a step")]

    def steps_of(self, source: str) -> int:
        """Return the steps of a training that reads `source`."""
        return self.steps[source] if isinstance(self.steps, dict) else self.steps

    def rate_of(self, source: str) -> float:
        """Return the peak rate of a training that reads `source`."""
        rate = self.learning_rate
        return rate[source] if isinstance(rate, dict) else rate


class Training(Entry):
    """How every student of a study is trained.

    The settings of each architecture in use stand beside these: `training_class` adds them.
    """

    precision: Precision
    compile: Annotated[bool, Field(description="torch.compile")]
    memory: Memory
    validation: Annotated[
        Validation | None, Field(description="null: the weights of the last step")
    ] = None
    optimiser: Optimiser
    checkpoint_every: Annotated[
        Count, Field(description="steps; a killed training loses these")
    ] = 100
    log_every: Annotated[Count, Field(description="steps of one point of the drawn training curve")]
    sizes: dict[str, Size]

    def reading(self, student: Entry) -> Architecture:
        """Return how a student reads a pair: its own settings before those of the training.

        Raises BadSettings where a setting of its architecture is missing.
        """
        architecture = student["architecture"]
        kind, settings = ARCHITECTURES[architecture], self.settings() | student.settings()
        for key, field in kind.model_fields.items():
            if key not in settings and field.is_required():
                raise BadSettings(f"training: the architecture {architecture} needs `{key}`")
        return own_settings(kind, settings)


def training_class() -> type[Training]:
    """Return `Training` with the settings of every architecture that there is."""
    return _training_class(tuple(ARCHITECTURES.values()))


@cache
def _training_class(architectures: tuple[type[Architecture], ...]) -> type[Training]:
    fields: dict[str, Any] = {}
    for architecture in architectures:
        fields |= optional(architecture)
    return cast(type[Training], create_model("Training", __base__=Training, **fields))


def optional(architecture: type[Architecture]) -> dict[str, Any]:
    """Return the settings of an architecture as fields of a class, none of them required."""
    hints = get_type_hints(architecture, include_extras=True)
    fields = {}
    for name in architecture.model_fields:
        fields[name] = (hints[name] | None, None)
    return fields


class Reranking(Entry):
    """How candidates are re-ranked."""

    depth: Annotated[Count, Field(description="candidates of each query that are re-ranked")]
    precision: Annotated[Precision, Field(description="precision of the forward pass")]


class Claim(Entry):
    """Claim that a study is made to show: one loss is better than another, student by student."""

    says: Annotated[Text, Field(description="the claim in words")]
    better: Annotated[Name, Names("losses")]
    than: Annotated[Name, Names("losses")]
    gap_to: Annotated[
        Name | None,
        Names("students"),
        Field(description="student whose lead, taught with `than`, the better loss closes in part"),
    ] = None


class Latency(Entry):
    """How the latency of students is measured, on the machine that runs the study."""

    queries: Annotated[Count, Field(description="queries that are timed one by one")]
    passages: Annotated[Count, Field(description="passages that are re-ranked for each")]


class States(Entry):
    """States of passages that students compute ahead, for re-ranking to read from a store."""

    students: Annotated[
        list[Annotated[Name, Names("students")]],
        Once,
        Field(min_length=1, description="of the grid, each with something to keep of a passage"),
    ]
    shard: Annotated[Count, Field(description="passages that one job encodes")]
    numbers: Annotated[
        Literal["float32", "float16"], Field(description="as which what is encoded is stored")
    ]


class Retrieval(States):
    """Retrieval by students themselves: each searches the whole corpus of every test set.

    They are of the grid, each with one vector for a text.
    """

    depth: Annotated[Count, Field(description="passages kept for each query")]


_Level = Annotated[Number, Field(gt=0, lt=1)]


class Statistics(Entry):
    """How two systems are compared."""

    alpha: Annotated[_Level, Field(description="level of the tests, after Holm's correction")]
    margin: Annotated[
        _Level, Field(description="systems at most this far apart in the headline are equivalent")
    ]
    reproduced_within: Annotated[
        _Level, Field(description="distance within which a published value counts as reproduced")
    ]
    resamples: Annotated[Whole, Field(ge=100, description="rounds of the randomisation test")]
    seed: Annotated[Seed, Field(description="seed of those rounds")]


class Page(Entry):
    """Single queries that the page shows."""

    queries: Annotated[CountOrNone, Field(description="of the whole study, in equal shares")]
    depth: Annotated[Count, Field(description="passages of each ranking that are shown")]
    characters: Annotated[Whole, Field(ge=20, description="characters of a text that are shown")]


class Publishing(Entry):
    """Statements on weights that are given away."""

    licence: Annotated[Text, Field(description="licence in the front matter of every model card")]


class Export(Entry):
    """Training data in the format of another library."""

    library: Annotated[
        Literal["sentence-transformers", "lightning-ir", "pylate", "tevatron", "matchmaker"],
        Field(description="library that is to read it"),
    ]
    negatives: _NegativesName
    teacher: _TeacherName | None = None
    passages: Annotated[
        Whole | None,
        Field(ge=2, description="passages of an example, for libraries that want one number"),
    ] = None
