"""A page as a browser would find it: its tags and words, and what its script would read."""

import base64
import json
import re
import zlib
from html.parser import HTMLParser
from typing import Any


class Seen(HTMLParser):
    """A page as a browser reads it: tags in order, their attributes, the text of the body."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.unclosed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br", "hr", "link", "input", "option"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "option" and (not self._open or self._open.pop() != tag):
            self.unclosed.append(tag)

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in {"script", "style"}:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def carried(html: str) -> dict[str, Any]:
    """Return what the page's script would read."""
    packed = re.search(r'id="data">([A-Za-z0-9+/=]+)</script>', html)
    assert packed
    inflated = zlib.decompress(base64.b64decode(packed[1]), -zlib.MAX_WBITS)
    found: dict[str, Any] = json.loads(inflated)
    return found
