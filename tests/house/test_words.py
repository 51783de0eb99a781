"""Plain words: a docstring's first line names its thing, and no sentence is long."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 25  # words of a sentence; 20 are the aim
CODE = ["src", "tests", "benchmarks"]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
FENCED = re.compile(r"^ *```.*?^ *```", re.M | re.S)
TABLE_OR_TITLE = re.compile(r"^ *(\||#|>|<).*$", re.M)
SPAN = re.compile(r"`[^`]+`|\[([^]]*)\]\([^)]*\)")  # of code, one word; of a link, its text
BLOCK = re.compile(r"\n\s*\n|^ *(?:[-*├└]|\d+\.)", re.M)  # between paragraphs and items of a list
END = re.compile(r"(?<=[.!?:;])[)*\"]*\s+")
ABBREVIATED = re.compile(r"\b(e\.g|i\.e|et al|vs|cf)\.")


class Docstring(NamedTuple):
    """A docstring, and the file and name that it stands in."""

    file: Path
    name: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.file.relative_to(ROOT)}, {self.name}"


def docstrings(folder: str) -> Iterator[Docstring]:
    """Yield the docstrings of all modules, classes and functions of a folder."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.get_docstring(node) if isinstance(node, documented) else None
            if text:
                yield Docstring(path, getattr(node, "name", "module"), text)


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a page or a docstring; a semicolon or a colon ends one too."""
    prose = TABLE_OR_TITLE.sub("", FENCED.sub("", text))
    prose = SPAN.sub(lambda span: span[1] or "code", ABBREVIATED.sub(r"\1", prose))
    for block in BLOCK.split(prose):
        yield from END.split(" ".join(block.split()))


def too_long(text: str) -> list[str]:
    """Return the sentences of a text that have too many words."""
    return [one for one in sentences(text) if len(re.findall(r"\w[^\s]*", one)) > LONGEST]


@pytest.mark.parametrize("folder", CODE)
def test_docstrings_begin_with_their_thing(folder):
    for docstring in docstrings(folder):
        assert not re.match(r"What\b", docstring.text), docstring.place


def test_sentences_of_docstrings_are_short():
    for docstring in docstrings("src"):
        assert not too_long(docstring.text), docstring.place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sentences_of_pages_are_short(page):
    assert not too_long(page.read_text(encoding="utf-8"))


def test_sentences_are_counted_by_hand():
    words = "one two three four five " * 5
    assert not too_long(f"{words}. {words}; {words}:\n{words}")
    assert too_long(f"{words}and.") == [f"{words}and."]
    assert not too_long(f"{words}`a b c`.".replace("one", "", 1))
    assert not too_long(f"| {words} | {words} |\n\n```\n{words} {words}\n```\n")
    assert not too_long(f"- {words}\n- {words}\n\n{words}")
