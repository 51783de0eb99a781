"""A headless Chromium for tests of the page; they are skipped where there is none."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason=f"THE PAGE WAS NOT TRIED IN A BROWSER: none of {', '.join(NAMES)} here"
)


@contextmanager
def launched() -> Iterator[Any]:
    """Start the browser; it is closed afterwards."""
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


def luminance(colour: str) -> float:
    """Return the relative luminance of `rgb(r, g, b)`, as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
