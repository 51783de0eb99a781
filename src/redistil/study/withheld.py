"""The files that DVC must leave alone: they hold texts that nobody may hand on.

A corpus says `push: false`, or its texts are `licensed`. `.dvcignore` then names what is made of
its texts, so that DVC neither keeps nor pushes it. Snakemake makes and reads these files as all
others.
"""

import os
from pathlib import Path

from redistil.errors import Stale
from redistil.study.study import Study

FILE = Path(".dvcignore")
OF_CORPUS = (
    "/data/corpora/passages/{corpus}.parquet",
    "/data/tokens/*/passages/{corpus}.arrow",
    "/data/candidates/*/vectors/{corpus}",
)
OF_DATASET = (
    "/data/corpora/queries/{dataset}.parquet",
    "/data/tokens/*/queries/{dataset}.arrow",
    "/results/*/report/contrasts/{dataset}.parquet",
)
RUN_BY_DVC = "DVC_STAGE"  # a variable that DVC sets for what it runs


def patterns(study: Study) -> list[str]:
    """Return what `.dvcignore` must name for a study, corpus by corpus."""
    lines: list[str] = []
    for corpus in _withheld(study):
        lines += [line.format(corpus=corpus) for line in OF_CORPUS]
        for dataset, entry in study.datasets.items():
            if entry.corpus == corpus:
                lines += [line.format(dataset=dataset) for line in OF_DATASET]
    return lines


def listed(study: Study) -> list[str]:
    """Add to `.dvcignore` of this folder the patterns that it lacks; return what to say of it.

    Nothing is taken off: the files of another study may still be there. Raises Stale under DVC: it
    has read the file already and would keep the texts at the end of this run.
    """
    text = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    lines = text.splitlines()
    lacking = [line for line in patterns(study) if line not in lines]
    if not lacking:
        return []
    with FILE.open("a", encoding="utf-8") as out:
        begun = "\n" if text and not text.endswith("\n") else ""
        out.write(begun + "\n".join(lacking) + "\n")
    added = f"{len(lacking)} lines were added to {FILE}: nobody may hand on the texts of "
    added += " and ".join(_withheld(study))
    if RUN_BY_DVC in os.environ:
        raise Stale(f"{added}, and DVC had read it before: start DVC again")
    return [f"{added}; commit the file"]


def _withheld(study: Study) -> list[str]:
    return [name for name, corpus in study.corpora.items() if not corpus.is_pushed]
