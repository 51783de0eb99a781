"""The page in headless Chromium: light, dark, small, printed, by keyboard and by ear."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from redistil.stages.report.page import page as pages
from redistil.stages.report.page import payload
from redistil.stages.report.page.places import Places
from redistil.study.study import LeftOut
from tests.made import largest_study, report_study
from tests.made.browsing import Opened, luminance, needs_browser

pytestmark = needs_browser
SHADE = 30  # by which a shadow darkens an edge, of 255


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_study.build(tmp_path_factory.mktemp("study"))[0]


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_are_dark_where_the_page_is(browser: Any, built: Path, scheme: str):
    opened = Opened(browser, built, color_scheme=scheme)
    picture = opened.page.locator("figure img").first

    def shown() -> bool:
        return picture.evaluate("e => getComputedStyle(e).filter") != "none"

    assert shown() == (scheme == "dark")
    opened.page.get_by_role("button", name="Dark").click()
    assert shown() == (scheme == "light")
    opened.context.close()


def test_print_has_no_navigation_and_light_figures(browser: Any, built: Path):
    opened = Opened(browser, built, color_scheme="dark")
    page = opened.page
    assert page.is_visible("nav") and page.is_visible("#compare") and page.is_visible(".tools")
    page.emulate_media(media="print")
    for hidden in ("nav", "#compare", ".tools", "#theme"):
        assert not page.is_visible(hidden), hidden
    assert page.is_visible("#summary") and page.is_visible("#board")
    style = "e => getComputedStyle(e)"
    assert page.eval_on_selector("figure img", f"e => ({style})(e).filter") == "none"
    assert luminance(page.eval_on_selector("body", f"e => ({style})(e).backgroundColor")) == 1
    opened.context.close()


def test_the_answer_is_on_the_first_screen(opened: Opened):
    box = opened.page.locator("#summary").bounding_box()
    assert box["y"] + box["height"] <= opened.page.viewport_size["height"] == 900


def test_departures_are_folded(opened: Opened):
    told = opened.page.locator("#departures details > :not(summary)").first
    assert not told.is_visible()
    opened.page.click("#departures summary")
    assert told.is_visible()


def edges(region: Any) -> tuple[float, float]:
    """Return how light a region's left and right edges are, of 255."""
    picture = Image.open(io.BytesIO(region.screenshot())).convert("L")
    pixels = np.asarray(picture, dtype=float)
    return float(np.median(pixels[:, 1])), float(np.median(pixels[:, -2]))


def test_wide_tables_show_that_they_scroll(browser: Any, built: Path):
    """A shadow stands at the edge behind which there is more, and at no other."""
    opened = Opened(browser, built, viewport={"width": 390, "height": 800})
    opened.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    tables = opened.page.locator("table")
    regions = opened.page.locator(".scroll:visible", has=tables)
    wide = 0
    for region in regions.all():
        if region.evaluate("e => e.scrollWidth <= e.clientWidth"):
            continue
        wide += 1
        left, right = edges(region)
        region.evaluate("e => e.scrollTo({left: e.scrollWidth, behavior: 'instant'})")
        left_after, right_after = edges(region)
        name = region.get_attribute("aria-label")
        assert right < right_after - SHADE, name
        if not region.locator("#board").count():  # whose first column stays, above the shadow
            assert left_after < left - SHADE, name
    assert wide >= 5
    outside = "e => e.scrollWidth > document.documentElement.clientWidth && !e.closest('.scroll')"
    assert not tables.evaluate_all(f"all => all.filter({outside}).length")
    opened.context.close()


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
