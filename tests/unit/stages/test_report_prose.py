"""Markdown as HTML that can do nothing to the page."""

from redistil.stages.report.page import prose


def html(text: str) -> str:
    return " ".join(str(prose.html(text, "A text")).split())


def test_markdown_becomes_html():
    text = "# Title\n\n## A *part*\nline one\nline two\n\n- first\n  goes on\n- `second`\n"
    assert html(text) == (
        "<h3>A <em>part</em></h3> <p>line one line two</p> "
        "<ul> <li>first goes on</li> <li><code>second</code></li> </ul>"
    )
    assert html("") == ""


def test_a_table_is_named_and_scrolls():
    text = html("|a|b|\n|-|-:|\n|1|**x**|\n")
    assert text.startswith(
        '<div class="scroll" role="region" tabindex="0" aria-label="A text, table 1">'
    )
    assert '<th scope="col">b</th>' in text and '<td class="long"><strong>x</strong></td>' in text
    assert "style=" not in text and text.endswith("</table></div>")


def test_a_link_becomes_its_words_and_address():
    text = html("[a *paper*](https://arxiv.org/x) and [here](docs/x.md)")
    assert text == "<p>a <em>paper</em> (https://arxiv.org/x) and here</p>"


def test_html_in_a_text_stays_text():
    hostile = "<script>a</script> ![x](javascript:a) [y](javascript:b) <img src=x onerror=a> `<b>`"
    text = html(f"{hostile}\n\n<div onclick=a>\n\n|<i>|\n|-|\n|<u>|\n")
    for tag in ("<script", "<img", "<div onclick", "<b>", "<i>", "<u>", "<a"):
        assert tag not in text
    assert "&lt;script&gt;" in text and "&lt;i&gt;" in text
