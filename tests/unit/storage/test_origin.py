"""The record of a file that carries none: a page, a cost, a card, what a study asks for."""

import json

import pytest

from redistil.errors import Damaged
from redistil.storage import digests, lineage, origin, pages
from redistil.storage.tables import RUN
from tests.made.rankings import run_of

MADE = lineage.make("page", "m", {"note": "a -- b --> c"}, "formula", [])


@pytest.fixture
def page(tmp_path):
    """A page that holds its record."""
    path = tmp_path / "index.html"
    text = f"<p>words</p>\n{pages.comment(MADE)}"
    digests.put_text(text, path, comment=("<!-- ", " -->"))
    return path


def test_a_page_holds_its_record(page):
    assert origin.of(page) == MADE


def test_a_damaged_page_is_refused(page):
    page.write_text(page.read_text().replace("words", "Words"))
    with pytest.raises(Damaged):
        origin.of(page)


def test_a_page_from_elsewhere_stands_for_itself(tmp_path):
    path = tmp_path / "other.html"
    path.write_text("<p>words</p>")
    assert origin.of(path).command == "file"


def test_a_cost_is_its_runs(tmp_path):
    made = lineage.make("rerank", "m/d", {}, "formula", [])
    RUN.write(run_of({"q": {"a": 1.0}}), tmp_path / "d.parquet", made)
    (tmp_path / "d.cost.json").write_text("{}")
    assert origin.of(tmp_path / "d.cost.json") == made


@pytest.fixture
def published(tmp_path):
    """A folder of models, whose record names the card that a model's own record does not."""
    model = tmp_path / "m"
    model.mkdir()
    (model / "config.json").write_text("{}")
    lineage.record(lineage.make("train", "m", {}, "formula", []), model)
    (model / "README.md").write_text("a card")
    lineage.record(lineage.make("publish", "all", {}, "formula", []), tmp_path)
    return model


def test_the_nearest_record_that_names_a_file_counts(published):
    assert origin.of(published / "config.json").command == "train"
    assert origin.of(published / "README.md").command == "publish"
    assert origin.of(published / "made.json").command == "train"


def test_a_changed_file_below_a_record_is_refused(published):
    (published / "README.md").write_text("another card")
    with pytest.raises(Damaged):
        origin.of(published / "README.md")


def test_what_a_study_asks_for_is_its_settings(tmp_path):
    path = tmp_path / "study.yaml"
    digests.put_text("study: mine\ngrid: {seeds: [1, 2]}\n", path)
    made = origin.of(path)
    assert (made.command, made.name) == ("resolve", "mine")
    assert made.code == origin.asked_digest({"grid": {"seeds": [1, 2]}, "study": "mine"})


def test_measured_times_hold_the_record_of_what_was_timed(tmp_path):
    path = tmp_path / "small.json"
    digests.write_json({"median": 1.0, "record": MADE.dumps()}, path)
    assert origin.of(path) == MADE
    digests.write_json({"median": 1.0}, path)
    assert origin.of(path).command == "file"
    path.write_text(json.dumps({"record": MADE.dumps()}))  # without a digest it may be anything
    assert origin.of(path).command == "file"
