"""The page in headless Chromium: inert whatever it quotes, its leaderboard and comparisons.

What it looks like is in test_report_looks.py.
"""

from pathlib import Path
from typing import Any

import pytest

from redistil.storage.tables import CONTRASTS, PAIRS
from tests.made import report_study
from tests.made.browsing import Opened, needs_browser

pytestmark = needs_browser


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_study.build(tmp_path_factory.mktemp("study"))[0]


# --- it is inert ------------------------------------------------------------------------------


def test_hostile_texts_do_nothing_and_are_read_as_they_are(opened: Opened, built: Path):
    page = opened.page
    page.select_option("#first", "small-bert/infonce")
    page.select_option("#second", "random")
    while page.is_visible("#more"):
        page.click("#more")
    for summary in page.query_selector_all("#contrasts summary"):
        summary.click()
    for button in page.query_selector_all("#board tbody th button"):
        if button.is_visible():
            button.click()
            page.keyboard.press("Escape")
    assert page.evaluate("window.pwned") is None
    assert opened.complaints == []
    assert page.evaluate("document.scripts.length") == 2
    assert page.locator("[onerror], [onmouseover]").count() == 0
    rows = CONTRASTS.read(built / "contrasts" / "away.parquet").to_pylist()
    shown = {*opened.texts("#contrasts .query"), *opened.texts("#contrasts bdi")}
    quoted = {row["passage"] for row in rows if row["system"] in ("random", "small-bert/infonce")}
    assert quoted & shown
    for mark in report_study.HOSTILE:
        start = " ".join(mark.split())[:20]
        assert any(text.startswith(start) for text in shown), start


def test_the_page_asks_the_network_for_nothing(opened: Opened, built: Path):
    assert [url for url in opened.asked if not url.startswith(("file:", "data:image/"))] == []
    assert len([url for url in opened.asked if url.startswith("file:")]) == 1


def test_even_a_script_that_got_in_could_neither_run_nor_call_home(opened: Opened):
    """The policy holds by itself: the page is opened up on purpose, and nothing comes of it."""
    refused = opened.page.evaluate(
        """async () => {
          const refused = [];
          const note = (event) => refused.push(event.effectiveDirective);
          document.addEventListener("securitypolicyviolation", note);
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          const image = new Image();
          image.src = "https://example.org/x.png";
          document.body.append(script, image);
          await fetch("https://example.org").catch(() => null);
          await new Promise((done) => setTimeout(done, 200));
          return [window.ran ?? "did not run", ...refused.sort()];
        }"""
    )
    assert refused == ["did not run", "connect-src", "img-src", "script-src-elem"]


def test_without_scripts_the_leaderboard_is_there(browser: Any, built: Path):
    opened = Opened(browser, built, java_script_enabled=False)
    page = opened.page
    assert len(page.query_selector_all("#board tbody tr:not([hidden])")) == 8
    assert not page.is_visible("#filters") and not page.is_visible("#compare")
    assert page.is_visible("noscript p") and not page.is_visible("#theme")
    opened.context.close()


# --- the leaderboard --------------------------------------------------------------------------


def test_a_click_sorts_and_says_so(opened: Opened):
    header = opened.page.locator("#board thead tr:last-child th", has_text="nDCG@10").first
    assert header.get_attribute("aria-sort") == "descending"
    first = opened.names()
    values = [float(text.split()[0]) for text in opened.column("nDCG@10")]
    assert values == sorted(values, reverse=True)
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert opened.names() == first[::-1]
    assert len(opened.page.query_selector_all("#board [aria-sort]")) == 1


def test_what_has_no_value_stays_below_in_either_order(opened: Opened):
    button = opened.page.get_by_role("button", name="difference", exact=True).first
    for _ in range(2):
        button.click()
        assert opened.names()[-1] == "splade"


def test_the_lines_are_filtered_by_student_loss_seed_and_kind(opened: Opened):
    page = opened.page
    page.select_option("[name=kind]", "student")
    page.select_option("[name=student]", "small-bert")
    page.select_option("[name=loss]", "infonce")
    assert opened.names() == ["small-bert/infonce"]
    page.select_option("[name=seed]", "2")
    assert opened.names() == ["small-bert/infonce/2"]
    page.select_option("[name=seed]", "each")
    assert sorted(opened.names()) == ["small-bert/infonce/1", "small-bert/infonce/2"]
    assert opened.texts("#shown") == ["2 lines"]
    page.get_by_role("button", name="Show all").click()
    page.wait_for_selector("#shown:text-is('8 lines')")


def test_the_columns_are_filtered_by_group_and_data_set(opened: Opened):
    heads = "#board thead tr:last-child th"
    assert {"test", "hard", "away", "verdict"} <= set(opened.texts(heads))
    opened.page.select_option("[name=columns]", label="Out of domain")
    shown = opened.texts(heads)
    assert "away" in shown and "hard" not in shown and shown.count("verdict") == 1
    assert opened.texts("#board thead tr.over th") == ["Out of domain", "datasets"]
    opened.page.select_option("[name=columns]", label="hard")
    assert opened.texts(heads) == ["system", "hard", "kind", "student", "loss", "seeds"]
    for row in opened.page.query_selector_all("#board tbody tr"):
        if row.is_visible():
            assert row.eval_on_selector_all("td:not([hidden])", "all => all.length") == 5


def test_the_name_of_a_system_tells_how_its_numbers_were_made(opened: Opened, built: Path):
    page = opened.page
    button = page.get_by_role("button", name="small-bert/infonce", exact=True)
    button.click()
    dialog = page.get_by_role("dialog")
    text = dialog.text_content()
    for seed in (1, 2):
        path = built / "measures" / "small-bert" / "infonce" / f"{seed}.parquet"
        assert f"snakemake {path}" in text
    assert "redistil train" in text and '"learning_rate":0.001' in text
    hrefs = dialog.locator("a").evaluate_all("all => all.map(a => a.href)")
    recipes = [href for href in hrefs if href.endswith("infonce/1/recipe.yaml")]
    assert len(hrefs) == 4 and recipes == [
        (built / "models/small-bert/infonce/1/recipe.yaml").resolve().as_uri()
    ]
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.textContent") == "small-bert/infonce"


# --- two systems compared ---------------------------------------------------------------------


def test_two_systems_are_compared_by_the_tests_in_the_table(opened: Opened, built: Path):
    rows = {
        (row["scope"], row["system"], row["against"]): row
        for row in PAIRS.read(built / "pairs.parquet").to_pylist()
    }
    page = opened.page
    couple = ("bm25", "small-bert/infonce")
    for first, second, sign in ((*couple, 1), (*couple[::-1], -1)):
        page.select_option("#first", first)
        page.select_option("#second", second)
        for scope in ("In domain", "Out of domain", "hard"):
            row = rows[scope, "bm25", "small-bert/infonce"]
            cells = opened.texts(f"#scopes tr:has(th:text-is('{scope}')) td")
            minus = [text.replace("\N{MINUS SIGN}", "-") for text in cells]
            assert float(minus[2]) == pytest.approx(sign * row["difference"], abs=0.00051)
            low, high = map(float, minus[3].strip("[]").split(", "))
            ends = sorted((sign * row["low"], sign * row["high"]))
            assert (low, high) == pytest.approx(ends, abs=0.0006)
            wins = [row["wins"], row["losses"]][::sign]
            turned = {"better": "worse", "worse": "better"}
            word = row["verdict"]
            assert minus[4] == (word if sign == 1 else turned.get(word, word))
            assert minus[7:] == [*map(str, wins), str(row["queries"] - sum(wins))]
            assert float(minus[0]) - float(minus[1]) == pytest.approx(float(minus[2]), abs=0.0021)
    assert "In domain: better" in page.text_content("#said")
    page.select_option("#second", "small-bert/infonce")
    assert page.text_content("#said") == "Choose two different systems."


def test_a_verdict_of_the_leaderboard_opens_its_comparison(opened: Opened):
    page = opened.page
    row = page.locator("#board tbody tr:visible", has_text="small-electra/infonce").first
    word = row.locator("a[data-with]").first
    shown = word.text_content()
    word.click()
    assert page.input_value("#first") == "small-electra/infonce"
    assert page.input_value("#second") == "splade"
    assert opened.texts("#scopes tr:first-child td")[4] == shown


def test_the_most_different_queries_come_first_with_both_rankings(opened: Opened, built: Path):
    page = opened.page
    page.select_option("#first", "small-bert/infonce")
    page.select_option("#second", "random")
    page.select_option("#set", "away")
    leads = [abs(plain(text)) for text in opened.texts("#contrasts strong")]
    assert leads == sorted(leads, reverse=True) and leads[0] > 0
    rows = CONTRASTS.read(built / "contrasts" / "away.parquet").to_pylist()
    name = page.text_content("#contrasts li:first-child .soft").split(" · ")[1]
    page.click("#contrasts li:first-child summary")
    page.wait_for_selector("#contrasts .two")
    for place, system in enumerate(("small-bert/infonce", "random")):
        wanted = [r for r in rows if (r["query_id"], r["system"]) == (name, system)]
        items = page.locator("#contrasts .two > section").nth(place).locator("li")
        assert items.count() == len(wanted) == 3
        for row, text in zip(wanted, items.all_text_contents(), strict=True):
            assert row["doc_id"] in text and row["passage"] in text
            assert ("relevant, grade 1" in text) == row["judged"]
            assert ("not judged" in text) != row["judged"]


def plain(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))
