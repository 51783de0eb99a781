"""Markdown, as far as docs/departures.md needs it, as blocks that a template can escape."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

Span = tuple[str, str]  # ("code" | "strong" | "em" | "text", what it says)
_MARKS = {"`": "code", "**": "strong", "*": "em"}


@dataclass(frozen=True)
class Block:
    """A heading, paragraph, list or table.

    items: one list of spans for a heading or paragraph, several for a list;
    rows: of a table, the header first.
    """

    kind: str
    items: list[list[Span]] = field(default_factory=list)
    rows: list[list[list[Span]]] = field(default_factory=list)


def blocks(text: str) -> list[Block]:
    """Return the blocks of a Markdown text; what is not understood is a paragraph as it stands."""
    return [_block(kind, lines) for kind, lines in _stretches(text)]


def _stretches(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (kind, lines) for each stretch of lines that belong together."""
    kind = ""
    numbered: list[tuple[str, str]] = []
    for line in text.splitlines():
        # an indented line goes on with the item above it
        kind = kind if kind == "list" and line.startswith("  ") and line.strip() else _kind(line)
        numbered.append((kind if kind != "heading" else f"heading {len(numbered)}", line))
    for key, group in groupby(numbered, key=lambda pair: pair[0]):
        if key != "blank":
            yield key.partition(" ")[0], [line for _, line in group]


def _kind(line: str) -> str:
    if not line.strip():
        return "blank"
    if line.startswith("#"):
        return "heading"
    if line.lstrip().startswith("|"):
        return "table"
    return "list" if re.match(r"([-*]|\d+\.) ", line) else "paragraph"


def _block(kind: str, lines: list[str]) -> Block:
    if kind == "table":
        cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
        rows = [row for row in cells if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]
        return Block("table", rows=[[spans(cell) for cell in row] for row in rows])
    if kind == "list":
        items: list[str] = []
        for line in lines:
            if line.startswith("  "):
                items[-1] += " " + line.strip()
            else:
                items.append(line.partition(" ")[2])
        return Block("list", [spans(item) for item in items])
    text = " ".join(line.strip() for line in lines)
    return Block(kind, [spans(text.lstrip("# ") if kind == "heading" else text)])


def spans(text: str) -> list[Span]:
    """Return a line as plain, `code`, **strong**, *em* parts; a link is its words and address."""
    text = re.sub(r"\[([^\]]+)\]\((https?://[^)\s]+)\)", r"\1 (\2)", text)
    text = re.sub(r"\[([^\]]+)\]\([^)\s]+\)", r"\1", text)
    parts = re.split(r"(`[^`]+`|\*\*[^*]+\*\*|(?<!\w)\*\b[^*]+\b\*(?!\w))", text)
    return [_marked(part) if i % 2 else ("text", part) for i, part in enumerate(parts) if part]


def _marked(part: str) -> Span:
    mark, kind = next(pair for pair in _MARKS.items() if part.startswith(pair[0]))
    return kind, part[len(mark) : -len(mark)]
