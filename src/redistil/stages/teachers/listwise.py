"""The request to a language model that ranks passages, and the meaning of its answer.

Pure: texts in, texts and places out. Prompt, answer and sliding window are RankZephyr's
(arXiv 2312.02724), as castorini/rank_llm has them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

SYSTEM = (
    "You are RankLLM, an intelligent assistant that can rank passages based on their relevancy to "
    "the query"
)
BEFORE = (
    "I will provide you with {count} passages, each indicated by a numerical identifier []. Rank "
    "the passages based on their relevance to the search query: {query}.\n"
)
AFTER = (
    "Search Query: {query}.\n"
    "Rank the {count} passages above based on their relevance to the search query. All the "
    "passages should be included and listed using identifiers, in descending order of relevance. "
    "The output format should be [] > [], e.g., [2] > [1], Answer concisely and directly and only "
    "respond with the ranking results, do not say any word or explain."
)
WELL_FORMED = re.compile(r"\[\d+\]( > \[\d+\])*")


def request(query: str, passages: Sequence[str], words: int) -> str:
    """Return the user's message: the passages, numbered from 1, cut to so many words each.

    Numbers in brackets, which would pass for identifiers, are put in parentheses.
    """
    query = _without_identifiers(query.strip())
    count = len(passages)
    lines = [BEFORE.format(count=count, query=query)]
    for number, passage in enumerate(passages, 1):
        text = " ".join(passage.split()[:words])
        lines.append(f"[{number}] {_without_identifiers(text)}")
    lines.append(AFTER.format(count=count, query=query))
    return "\n".join(lines)


def _without_identifiers(text: str) -> str:
    return re.sub(r"\[(\d+)\]", r"(\1)", text)


def answer(count: int) -> str:
    """Return an answer that keeps the order of so many passages."""
    return " > ".join(f"[{number}]" for number in range(1, count + 1))


@dataclass
class Answers:
    """How many answers there were, and what was wrong with how many."""

    answers: int = 0
    malformed: int = 0  # anything but [3] > [1] > ...
    repeated: int = 0  # a passage twice: the first place counts
    unknown: int = 0  # a number that no passage has: left out
    incomplete: int = 0  # passages left out: put behind, in the order they had

    def add(self, other: "Answers") -> None:
        self.answers += other.answers
        self.malformed += other.malformed
        self.repeated += other.repeated
        self.unknown += other.unknown
        self.incomplete += other.incomplete

    def said(self) -> Iterator[str]:
        """Yield one sentence about repairs, if there were any."""
        if self.malformed or self.repeated or self.unknown or self.incomplete:
            yield (
                f"{self.answers} answers, repaired: {self.malformed} malformed, {self.repeated} "
                f"with a passage twice, {self.unknown} with one that is not there, "
                f"{self.incomplete} without some"
            )


def permutation(text: str, count: int, tally: Answers) -> list[int]:
    """Return the places (from 0) of `count` passages in the order of an answer, repaired.

    Only numbers count; repeated and unknown ones are left out. Passages that the answer does not
    name follow in the order they had. `tally` counts the repairs.
    """
    named = [int(number) - 1 for number in re.findall(r"\d+", text)]
    places = [place for place in named if 0 <= place < count]
    first = list(dict.fromkeys(places))
    tally.answers += 1
    tally.malformed += WELL_FORMED.fullmatch(text.strip()) is None
    tally.unknown += len(places) < len(named)
    tally.repeated += len(first) < len(places)
    tally.incomplete += len(first) < count
    return list(dict.fromkeys([*first, *range(count)]))


def windows(count: int, window: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the windows over `count` passages, from the last to the first."""
    end = count
    while end > 0:
        start = max(end - window, 0)
        yield start, end
        if start == 0:
            return
        end -= stride


@dataclass
class Task:
    """A query whose passages are being ranked."""

    query: str
    doc_ids: list[str]
    texts: dict[str, str] = field(repr=False)

    def passages(self, start: int, end: int) -> list[str]:
        """Return the texts of the passages at these places, in their present order."""
        return [self.texts[doc_id] for doc_id in self.doc_ids[start:end]]

    def settle(self, start: int, end: int, order: Sequence[int]) -> None:
        """Put the passages of a window in a new order."""
        window = self.doc_ids[start:end]
        self.doc_ids[start:end] = [window[place] for place in order]
