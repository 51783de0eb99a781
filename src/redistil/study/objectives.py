"""The ranking objectives as a study knows them: what each learns from, and its options.

Each function stands under the same name in `redistil.learning.objectives`. To add an objective,
write the function there and a class here.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from redistil.study.fields import Entry, Name, Names, Positive, Text, kinds

LABELS = "labels"  # relevance grades
SCORES = "scores"  # a teacher's scores: one constant more for a query is another target
MARGINS = "margins"  # differences of a teacher's scores: such a constant changes nothing
ORDER = "order"  # the order in which a teacher puts passages
Targets = frozenset[str]

_Loss = Annotated[Name, Names("losses")]


class Loss(Entry):
    """An objective with its options, and the training data that it reads.

    A subclass declares one objective: `targets` says what it can learn from, its further fields
    are its options, and every option must be given.
    """

    targets: ClassVar[Targets]

    objective: Text
    reads: Annotated[Text, Field(description="one of the study's sources")]
    after: Annotated[
        _Loss | None,
        Field(description="the loss whose weights, of the same student and seed, it starts from"),
    ] = None

    @classmethod
    def name_kind(cls, kind: str) -> None:
        """Call a loss by its objective."""
        cls.kind_key, cls.called = "objective", kind

    def options(self) -> dict[str, object]:
        """Return the options of the objective by name."""
        return self.settings(without=frozenset(Loss.model_fields))


class Bce(Loss, kind="bce"):
    """Binary cross-entropy of each candidate."""

    targets: ClassVar[Targets] = frozenset({LABELS})


class Hinge(Loss, kind="hinge"):
    """Hinge loss of positives over negatives."""

    targets: ClassVar[Targets] = frozenset({LABELS})
    margin: Annotated[Positive, Field(description="logits of the student")]


class Infonce(Loss, kind="infonce"):
    """Softmax probability of the positives."""

    targets: ClassVar[Targets] = frozenset({LABELS})
    temperature: Annotated[Positive, Field(description="divides scores")]


class MarginMse(Loss, kind="margin-mse"):
    """Squared difference of student and teacher margins."""

    targets: ClassVar[Targets] = frozenset({MARGINS})


class Ranknet(Loss, kind="ranknet"):
    """Cross-entropy of every pair against its order."""

    targets: ClassVar[Targets] = frozenset({LABELS, ORDER})


class AdrMse(Loss, kind="adr-mse"):
    """Squared error of soft ranks, discounted."""

    targets: ClassVar[Targets] = frozenset({ORDER})
    temperature: Annotated[Positive, Field(description="divides score differences")]


class WeightedRanknet(Loss, kind="weighted-ranknet"):
    """RankNet weighted by the teacher's margin."""

    targets: ClassVar[Targets] = frozenset({MARGINS})
    weight: Literal["signed", "absolute"]


class PointwiseMse(Loss, kind="pointwise-mse"):
    """Squared difference of student and teacher score."""

    targets: ClassVar[Targets] = frozenset({SCORES})


class Kl(Loss, kind="kl"):
    """Divergence of the student's scores from the teacher's."""

    targets: ClassVar[Targets] = frozenset({MARGINS})
    temperature: Annotated[Positive, Field(description="divides the logits of both")]


DECLARED = kinds(Bce, Hinge, Infonce, MarginMse, Ranknet, AdrMse, WeightedRanknet, PointwiseMse, Kl)
