"""Settings that `make` puts around the workflow."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def cache(home: Path, **more: str) -> str:
    """Return where Snakemake would keep its cache, as a recipe sees it; "" for the home."""
    env = {key: value for key, value in os.environ.items() if key != "XDG_CACHE_HOME"}
    told = subprocess.run(
        ["make", "--no-print-directory", "--eval", 'told: ; @echo "$$XDG_CACHE_HOME"', "told"],
        cwd=ROOT,
        env=env | {"HOME": str(home)} | more,
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.strip()


def test_a_cache_lies_at_home_where_it_may(tmp_path):
    assert cache(tmp_path) == ""


@pytest.mark.parametrize("more", [{}, {"XDG_CACHE_HOME": "/elsewhere"}])
def test_a_cache_has_a_place_without_a_home(more):
    """Nobody may write below /proc; a place that the user names is kept."""
    wanted = more.get("XDG_CACHE_HOME", str(ROOT / ".snakemake/cache"))
    assert cache(Path("/proc"), **more) == wanted
