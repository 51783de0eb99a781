"""The page in headless Chromium: inert whatever it quotes, usable by mouse, keyboard and ear."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redistil.stages.report.page import page as pages
from redistil.stages.report.page import payload
from redistil.stages.report.page.places import Places
from redistil.storage.tables import CONTRASTS, PAIRS
from redistil.study.study import LeftOut
from tests.made import largest_study, report_study

playwright = pytest.importorskip("playwright.sync_api")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"THE PAGE WAS NOT TRIED IN A BROWSER: none of {', '.join(NAMES)} here"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_study.build(tmp_path_factory.mktemp("study"))[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=BROWSER)
        yield chromium
        chromium.close()


class Opened:
    """The page in a fresh browser context: what it asked the network for, what it complained of."""

    def __init__(self, browser: Any, folder: Path, **how: Any) -> None:
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | how))
        self.context.set_default_timeout(5000)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto((folder / "index.html").resolve().as_uri())
        if how.get("java_script_enabled", True):
            self.page.wait_for_selector("#compare:not([hidden])")

    def texts(self, selector: str) -> list[str]:
        found = self.page.eval_on_selector_all(
            selector, "all => all.filter(e => e.checkVisibility()).map(e => e.textContent.trim())"
        )
        return list(found)

    def names(self) -> list[str]:
        """Return the lines of the leaderboard that are shown, from top to bottom."""
        return self.texts("#board tbody th")

    def column(self, title: str) -> list[str]:
        """Return what is shown of the first column of this title."""
        place = self.page.eval_on_selector_all(
            "#board thead tr:last-child th",
            "(all, title) => all.findIndex(e => e.textContent === title)",
            title,
        )
        assert place >= 0
        return self.texts(f"#board tbody tr > :nth-child({place + 1})")


@pytest.fixture
def opened(browser: Any, built: Path) -> Iterator[Opened]:
    found = Opened(browser, built)
    yield found
    found.context.close()


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


# --- light, dark, small, by keyboard ----------------------------------------------------------


@pytest.mark.parametrize(("scheme", "other"), [("light", "dark"), ("dark", "light")])
def test_light_and_dark_follow_the_system_and_the_switch(
    browser: Any, built: Path, scheme: str, other: str
):
    opened = Opened(browser, built, color_scheme=scheme)
    page, switch = opened.page, opened.page.get_by_role("button", name="Dark")

    def shown() -> tuple[str, str | None]:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        word = "light" if luminance(colour) > 0.5 else "dark"
        return word, switch.get_attribute("aria-pressed")

    assert shown() == (scheme, str(scheme == "dark").lower())
    switch.click()
    assert shown() == (other, str(other == "dark").lower())
    page.reload()
    assert shown()[0] == other
    opened.context.close()


@pytest.mark.parametrize("width", [360, 768])
def test_nothing_sticks_out_of_a_small_screen(browser: Any, built: Path, width: int):
    opened = Opened(browser, built, viewport={"width": width, "height": 800})
    opened.page.click("#contrasts li:first-child summary")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    name = opened.page.locator("#board tbody th").first.bounding_box()
    assert name["width"] < width / 2 and name["height"] < 80
    opened.context.close()


def test_all_can_be_done_by_keyboard(opened: Opened):
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the leaderboard"
    page.keyboard.press("Enter")
    page.wait_for_url("**#leaderboard")
    seen = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
            return [e.tagName, e.id || e.name || e.textContent.slice(0, 20), s.outlineStyle]; }"""
        )
        if focused[0] == "BODY":
            break
        assert focused[2] != "none", f"{focused} does not show that it has the focus"
        seen.add(focused[1])
    assert {"kind", "student", "loss", "seed", "columns", "first", "swap", "second", "set"} <= seen
    page.locator("#board thead button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#board [aria-sort]").text_content() == "system"
    page.locator("#contrasts summary").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#contrasts .two")


def test_every_field_and_button_has_a_name(opened: Opened):
    tree = opened.page.locator("body").aria_snapshot()
    kinds = "button|combobox|link|dialog|region|table|figure|form"
    assert len(re.findall(f"- (?:{kinds}) ", tree)) > 30
    assert not re.findall(rf"^\s*- (?:{kinds})\s*:?$", tree, re.M)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(browser: Any, built: Path, scheme: str):
    """WCAG 2.2 AA, 1.4.3: at least 4.5 to 1."""
    opened = Opened(browser, built, color_scheme=scheme)
    opened.page.click("#contrasts li:first-child summary")
    pairs = opened.page.evaluate(
        """() => {
          const colour = (e) => getComputedStyle(e).backgroundColor;
          const behind = (e) => !e ? colour(document.body)
            : colour(e) === "rgba(0, 0, 0, 0)" ? behind(e.parentElement) : colour(e);
          const says = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
          return [...document.querySelectorAll("body *")]
            .filter((e) => e.checkVisibility() && says(e))
            .map((e) => [getComputedStyle(e).color, behind(e), `${e.tagName} ${e.className}`]);
        }"""
    )
    assert len(pairs) > 100
    for colour, behind, where in pairs:
        lighter, darker = sorted((luminance(colour), luminance(behind)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (where, colour, behind)
    opened.context.close()


def plain(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


def luminance(colour: str) -> float:
    """Return the relative luminance of `rgb(r, g, b)`, as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_tables_of_the_papers_grid_fit_a_screen(browser: Any, tmp_path: Path):
    """Its names and counts are long; what it left out is said at the top."""
    study, rng = largest_study.config(), np.random.default_rng(1)
    lost = LeftOut(dataset="robust04", groups=["Robust04"])
    study = study.changed(left_out=[lost])
    paths = largest_study.write(tmp_path, study, rng)
    compared = payload.comparison(study, paths[0], [])
    files = {name: tmp_path / name for name in ("study", "tables", "figures", "pairs")}
    places = Places.around(tmp_path / "index.html", [], **files)
    tables = largest_study.tables(study, rng)
    text = pages.render(study, tables, [], {}, "None.", compared, places)
    (tmp_path / "index.html").write_text(text, encoding="utf-8")
    opened = Opened(browser, tmp_path)
    for section in ("#losses", "#compare", "#cost"):
        sizes = "found => found.map(e => [e.scrollWidth, e.clientWidth])"
        for wide, room in opened.page.eval_on_selector_all(f"{section} .scroll", sizes):
            assert wide <= room, section
    assert "robust04 is left out, and with it Robust04" in opened.page.inner_text("header")
    assert opened.complaints == []
    opened.context.close()
