"""A run file from elsewhere as a first stage."""

from pathlib import Path

from redistil.candidates.cut import first
from redistil.lineage import Made
from redistil.tables import RUN
from redistil.trec import read_run


def import_run(source: Path, out: Path, made: Made, *, drop_identical: bool) -> None:
    """Write a TREC run file as a table: ranks anew from its scores, in canonical order.

    A (query, passage) that occurs twice is refused.
    """
    pairs = read_run(source)
    RUN.write(first(pairs, len(pairs), drop_identical), out, made)
