"""Steps from which a student learned nothing: counted, and a training of such steps refused."""

import logging
from collections.abc import Callable, Sequence

from redistil.errors import BadSource
from redistil.learning.history import Point

FIRST = 50  # steps that may be idle, one after the other, before a training is given up

_log = logging.getLogger(__name__)


def is_idle(point: Point) -> bool:
    """Return whether a step had no gradient.

    No pair of its lists told one passage from another, or each pair met the margin of hinge.
    """
    return point.gradient_norm == 0


class Idle:
    """Passes each point of a training on; BadSource once its first steps were all idle.

    tell: what the points are passed to; steps: of the whole training; reads: what a message calls
    the source of the steps.
    """

    def __init__(self, tell: Callable[[Point], None], steps: int, reads: str) -> None:
        self._tell, self._reads = tell, reads
        self._allowed = min(FIRST, steps)
        self._step = 0

    def __call__(self, point: Point) -> None:
        """Pass a point on."""
        self._tell(point)
        is_resumed = point.step != self._step
        if is_resumed or not is_idle(point):
            self._allowed = 0  # it learned something: from now on idle steps are only counted
        self._step += 1
        if self._allowed and self._step >= self._allowed:
            raise BadSource(
                f"{self._reads}: the first {self._step} steps had no gradient, so there is nothing "
                "to learn: their targets tie, each list has a single passage, or every pair meets "
                "the margin of hinge"
            )


def warn(points: Sequence[Point]) -> None:
    """Log how many steps of a training were idle."""
    idle = sum(map(is_idle, points))
    if idle:
        _log.warning("%d of %d steps had no gradient: they taught nothing", idle, len(points))
