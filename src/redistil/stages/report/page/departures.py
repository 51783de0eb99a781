"""The departures that concern a study: those of its papers, and those of every study."""

import re
from collections.abc import Iterable

_EVERY = "every study"
_PAPER = re.compile(r"\d{4}\.\d{4,5}")  # an arXiv id


def of_study(text: str, title: str, cites: Iterable[str]) -> str:
    """Return the sections of a Markdown text that concern a study; the text before them stays.

    A section concerns it where its heading names the study, or a paper that the study's title or a
    published value beside it names.
    """
    papers = set(_PAPER.findall(" ".join([title, *cites])))
    before, *sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    kept = [before]
    for section in sections:
        heading = section.partition("\n")[0].removeprefix("## ").strip()
        is_named = heading.lower() == _EVERY or heading.lower() in title.lower()
        if is_named or papers & set(_PAPER.findall(heading)):
            kept.append(section)
    return "".join(kept)
