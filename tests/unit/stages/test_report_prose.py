"""Markdown as blocks, as far as the page needs it."""

from redistil.stages.report.page import prose


def test_markdown_becomes_blocks():
    text = "# A *title*\nline one\nline two\n\n- first\n  goes on\n- second\n"
    text += "\n|a|b|\n|-|:-:|\n|1|`x`|\n"
    heading, paragraph, items, table = prose.blocks(text)
    assert (heading.kind, heading.items) == ("heading", [[("text", "A "), ("em", "title")]])
    assert paragraph.items == [[("text", "line one line two")]]
    assert items.items == [[("text", "first goes on")], [("text", "second")]]
    assert table.rows == [[[("text", "a")], [("text", "b")]], [[("text", "1")], [("code", "x")]]]
    assert prose.blocks("") == []


def test_code_strong_and_links_in_a_line():
    assert prose.spans("see **this** and `that`") == [
        ("text", "see "), ("strong", "this"), ("text", " and "), ("code", "that"),
    ]  # fmt: skip
    assert prose.spans("*guessed*: 2 * 3*4*5 is `a*b*`") == [
        ("em", "guessed"), ("text", ": 2 * 3*4*5 is "), ("code", "a*b*"),
    ]  # fmt: skip
    assert prose.spans("[a paper](https://arxiv.org/x) [here](docs/x.md)") == [
        ("text", "a paper (https://arxiv.org/x) here")
    ]


def test_headings_side_by_side_stay_apart():
    assert [block.kind for block in prose.blocks("# One\n## Two\ntext")] == [
        "heading", "heading", "paragraph",
    ]  # fmt: skip
