"""Markdown as HTML that is safe to put into the page, by markdown-it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token
    from markupsafe import Markup

_SCROLL = (
    '<div class="scroll" role="region" tabindex="0" aria-label="{name}, table {number}"><table>'
)


def html(text: str, name: str) -> "Markup":
    """Return a Markdown text as HTML; HTML inside it is escaped, images and titles are dropped.

    The title of the text is left out, and other headings are of the third level. A link is its
    words and, where it leads to the web, its address: the page links only to files beside it.
    name: of the text, for the labels of its tables.
    """
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markupsafe import Markup

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = _without_title(reader.parse(text))
    tables = 0
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = "h3"
        elif token.type in ("th_open", "td_open"):
            token.attrs = {"scope": "col"} if token.tag == "th" else {"class": "long"}
        elif token.type == "table_open":
            tables += 1
            token.type, token.content = "html_block", _SCROLL.format(name=name, number=tables)
        elif token.type == "table_close":
            token.type, token.content = "html_block", "</table></div>"
        elif token.type == "inline":
            token.children = _without_links(token.children or [])
    return Markup(RendererHTML().render(tokens, reader.options, {}))


def _without_title(tokens: "list[Token]") -> "list[Token]":
    """Leave out a heading of the first level: its start, its text and its end."""
    is_titled = bool(tokens) and tokens[0].tag == "h1"
    return tokens[3:] if is_titled else tokens


def _without_links(parts: "list[Token]") -> "list[Token]":
    """Return the parts of a line with the address of a link behind its words."""
    from markdown_it.token import Token

    kept: list[Token] = []
    address = ""
    for part in parts:
        if part.type == "link_open":
            address = str(part.attrs["href"])
        elif part.type == "link_close":
            if address.startswith(("https://", "http://")):
                kept.append(Token("text", "", 0, content=f" ({address})"))
        else:
            kept.append(part)
    return kept
