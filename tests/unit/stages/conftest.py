"""Fixtures of the tests that open the page in a browser."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from tests.made.browsing import launched

    with launched() as chromium:
        yield chromium


@pytest.fixture
def opened(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page of the module's fixture `built`, in a fresh context."""
    from tests.made.browsing import Opened

    page = Opened(browser, request.getfixturevalue("built"))
    yield page
    page.context.close()
