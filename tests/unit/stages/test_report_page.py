"""The page as a file: what it says, that it is whole, small, and loads nothing.

What it does in a browser is in test_report_browser.py, how it looks there in test_report_looks.py.
"""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import escape

from redistil.errors import Stale
from redistil.stages.report import figures
from redistil.stages.report.numbers import costs, tabulated, wording
from redistil.stages.report.page import departures, illustrations, payload, summary
from redistil.stages.report.page import page as pages
from redistil.stages.report.page.illustrations import illustrations as illustrated
from redistil.stages.report.page.places import Places
from redistil.storage import lineage
from redistil.storage.tables import PAIRS
from redistil.study import artefacts as studies
from redistil.study.study import LeftOut
from tests.made import largest_study, report_study
from tests.made.markup import Seen, carried
from tests.made.report_study import SYSTEMS, ended_well, named, page, plot


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A study with hostile names and texts, through every command of the report."""
    return report_study.build(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def html(built: tuple[Path, Any]) -> str:
    return (built[0] / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def seen(html: str) -> Seen:
    return Seen(html)


def test_the_page_is_one_well_formed_file(seen: Seen):
    assert seen.unclosed == [] and seen._open == []


def test_the_page_loads_nothing(html: str, seen: Seen):
    for name, attrs in seen.tags:
        for key in ("src", "action", "data", "srcset", "poster"):
            value = attrs.get(key) or ""
            assert not value or value.startswith("data:image/svg+xml;base64,"), (name, value)
    assert all((attrs["href"] or "").startswith(("#", "./", "../")) for attrs in seen.all("a"))
    assert not seen.all("link") and not re.search(r"@import|url\(|\bfetch\(|XMLHttpRequest", html)


def test_the_policy_names_the_only_style_and_script(seen: Seen):
    (policy,) = [m["content"] for m in seen.all("meta") if "http-equiv" in m]
    assert str(policy).startswith("default-src 'none'; img-src data:; ")
    assert len(seen.all("style")) == 1 and "unsafe" not in str(policy)
    assert [attrs.get("type") for attrs in seen.all("script")] == ["application/octet-stream", None]
    keys = {key for _, attrs in seen.tags for key in attrs}
    assert not any(key == "style" or key.startswith("on") for key in keys)


def test_hostile_text_is_text(built: Any, seen: Seen):
    assert "<script>window.pwned = 1</script> & $x$" in seen.text
    assert "<img src=x onerror=window.pwned=1>" in seen.text
    assert "<b>code</b>" in seen.text
    sealed = lineage.of(built[0] / "figures").settings["sha256"]
    assert len(seen.all("img")) == len({Path(name).stem for name in sealed})


def test_hostile_names_stay_inside_their_attributes(seen: Seen):
    assert report_study.HOSTILE_LOSS in {attrs.get("data-loss") for attrs in seen.all("tr")}


def test_the_first_screen_answers_from_the_tests(built: Any, seen: Seen, html: str):
    tables = tabulated.read(built[0] / "tables")
    text = " ".join(seen.text.split())
    head = html[: html.index("<nav")]
    study = studies.read(Path(built[1]["study"][0]))
    for sentence in summary.summary(study, tables):
        assert sentence in text and str(escape(sentence)) in head
    assert "In domain: on every student, infonce wins and " in text
    assert "loses (2 of 2 comparisons, p at most 0.001)." in text
    assert (
        "better than the first stage bm25 (+0." in text and "worse than the teacher both (" in text
    )
    assert "at most 5% of such studies" in text and "would often be missed" in text


def test_losses_stand_against_losses_above_the_leaderboard(built: Any, seen: Seen, html: str):
    assert html.index('id="losses"') < html.index('id="leaderboard"')
    text = " ".join(seen.text.split())
    for row in tabulated.read(built[0] / "tables").losses:
        value, difference = wording.number(row.value), wording.signed(row.difference)
        assert f"{row.loss}{value} {difference}" in text
    assert "2/0/0" in text and "0/0/2" in text


def test_every_loss_is_set_against_every_other_both_ways(built: Any):
    both = pages._versus(tabulated.read(built[0] / "tables"))
    one = both["In domain", "infonce", report_study.HOSTILE_LOSS]
    other = both["In domain", report_study.HOSTILE_LOSS, "infonce"]
    assert (str(one.verdicts), str(other.verdicts)) == ("2/0/0", "0/0/2")
    assert (one.difference, one.low) == (-other.difference, -other.high)


def test_departures_are_those_of_the_study():
    text = "# Departures\n\nIntro.\n\n## arXiv 2603.03010 (a)\nowl\n\n## arXiv 1111.2222\nbat\n"
    text += "\n## Every study\ncat\n\n## The embedded study\ndog\n"
    own = departures.of_study(text, "The embedded study", [])
    assert re.findall("Intro|owl|bat|cat|dog", own) == ["Intro", "cat", "dog"]
    paper = departures.of_study(text, "A title", ["arXiv 2603.03010"])
    assert re.findall("Intro|owl|bat|cat|dog", paper) == ["Intro", "owl", "cat"]


def test_every_figure_has_its_caption_and_its_file(seen: Seen):
    for name in ("forest", "curves"):
        assert figures.module_of(name).CAPTION in seen.text
        assert f"./figures/{name}.svg" in {attrs["href"] for attrs in seen.all("a")}
    assert all(attrs["alt"] for attrs in seen.all("img"))


def test_every_number_leads_to_its_file_its_recipe_and_every_step_behind_it(built: Any, html: str):
    data, (folder, options) = carried(html), built
    for path in options["measures"]:
        made = lineage.of(Path(path))
        file, link, place, recipe = data["sources"][made.name]
        assert file == path and (folder / link).resolve() == Path(path).resolve()
        command, name, fingerprint, settings, inputs = data["made"][place]
        assert (command, name, fingerprint) == ("evaluate", made.name, made.fingerprint)
        assert json.loads(settings) == json.loads(lineage.canonical(made.settings))
        assert {data["made"][at][2] for at in inputs} == set(made.inputs.values())
        trained = made.name.startswith("small-")
        assert recipe == (f"./models/{made.name}/recipe.yaml" if trained else None)


def test_tables_can_be_read_aloud(seen: Seen):
    assert all(attrs.get("scope") for attrs in seen.all("th"))
    assert len(seen.all("caption")) >= 4
    assert seen.all("html") == [{"lang": "en"}]
    assert [attrs["href"] for attrs in seen.all("a")][0] == "#leaderboard"
    targets = {attrs.get("id") for _, attrs in seen.tags}
    hrefs = {str(attrs["href"]) for attrs in seen.all("a")}
    assert {href[1:] for href in hrefs if href.startswith("#")} <= targets
    regions = [attrs for attrs in seen.all("div") if attrs.get("role") == "region"]
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in regions)
    assert len({attrs["aria-label"] for attrs in regions}) == len(regions)


def test_there_is_a_line_for_every_entry_and_every_seed(seen: Seen):
    rows = [attrs for attrs in seen.all("tr") if "data-kind" in attrs]
    assert len([row for row in rows if "data-seed" not in row]) == SYSTEMS
    assert sorted(row["data-seed"] or "" for row in rows if "data-seed" in row) == list("11112222")
    assert all("hidden" in row for row in rows if "data-seed" in row)
    assert {row["data-student"] for row in rows} == {"", "small-bert", "small-electra"}


def test_every_row_of_the_leaderboard_has_a_cell_for_each_header(html: str):
    board = re.search(r'<table id="board">.*?</table>', html, re.S)
    assert board
    head, body = board[0].split("<tbody>")
    headers = head.split("<tr>")[-1].count("<th ")
    for row in re.split(r"<tr[^>]*>", body)[1:]:
        assert len(re.findall("<t[dh][ >]", row)) == headers


def test_a_line_of_one_seed_has_that_seeds_values(built: Any, html: str):
    rows = report_study.rows_of(built[0] / "tables" / "cells.csv")
    wanted = {
        row["dataset"]: float(row["value"])
        for row in rows
        if (row["system"], row["measure"]) == ("small-bert/infonce/2", "nDCG@10")
    }
    line = html[html.index('<th scope="row">small-bert/infonce/2</th>') :].split("</tr>")[0]
    values = re.findall(r'data-v="([^"]+)">', line)
    assert float(values[0]) == pytest.approx((wanted["test"] + wanted["hard"]) / 2, abs=1e-5)
    assert [float(v) for v in values[2:]] == pytest.approx(list(wanted.values()), abs=1e-5)


def test_tables_that_the_page_does_not_know_are_shown_as_they_are(built: Any, tmp_path: Path):
    folder, options = built
    made = lineage.of(folder / "tables")
    (tmp_path / "tables").mkdir()
    tables = json.loads((folder / "tables" / "tables.json").read_text())
    tables["new_table"] = [{"who": "<i>x</i>", "cost": 1.23456}, {"who": "b", "cost": None}]
    (tmp_path / "tables" / "cells.csv").write_text((folder / "tables" / "cells.csv").read_text())
    (tmp_path / "tables" / "tables.json").write_text(json.dumps(tables))
    digests = {n: lineage.sha256(tmp_path / "tables" / n) for n in ("tables.json", "cells.csv")}
    forged = lineage.Made(
        made.command, made.name, {**made.settings, "sha256": digests}, made.code, {}, {}
    )
    (tmp_path / "tables" / "made.json").write_text(forged.dumps())
    ended_well(plot(tmp_path, options))
    ended_well(page(tmp_path, options | {"comparison": []}))
    text = (tmp_path / "index.html").read_text()
    assert "<h3>New table</h3>" in text and "&lt;i&gt;x&lt;/i&gt;" in text and "1.235" in text
    assert 'id="compare"' not in text  # nothing to compare with


def test_a_data_set_that_was_left_out_is_named_with_its_reason():
    study = report_study.config(left_out=[{"dataset": "away", "groups": ["All", "Others"]}])
    (sentence,) = pages.left_out(study)
    assert sentence == (
        "away is left out, and with it All and Others, since a mean over fewer is another value: "
        "its texts are licensed and were not in place."
    )
    study["corpora"]["docs"]["licence"] = "ask <them>"
    assert "licensed (ask <them>) and" in pages.left_out(study)[0]
    assert pages.left_out(report_study.config()) == []


def test_one_of_a_kind_is_told_in_the_singular(seen: Seen, tmp_path: Path):
    study = report_study.config()
    study["grid"] |= {"students": ["small-bert"], "losses": ["infonce"], "seeds": [1]}
    options = report_study.write(tmp_path, study)
    ended_well(report_study.tabulate(tmp_path, options))
    ended_well(plot(tmp_path, options, *named(options, "curves")))
    ended_well(page(tmp_path, options))
    one = Seen((tmp_path / "index.html").read_text(encoding="utf-8"))
    alone, several = (" ".join(html.text.split()) for html in (one, seen))
    assert "1 student × 1 loss × 1 seed, each" in alone
    assert "infonce is the only loss" in alone and "better / the same" in alone
    assert "2 students × 2 losses × 2 seeds, each" in several
    assert "of the 2 students it is" in several and "of the 1 student it is" in alone


def test_a_table_longer_than_the_page_shows_says_how_long_it_is(
    built: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder, options = built
    text = costly(folder, options, tmp_path)
    assert "which has" not in text
    monkeypatch.setattr(pages, "_ROWS", 2)
    text = costly(folder, options, tmp_path)
    assert text.count('<tr><th scope="row">a value of theirs') == 2
    assert "which has 3 rows: these are the first 2." in text
    assert '/published.csv">published.csv</a>' in text


def test_published_values_are_counted_by_verdict(built: Any, tmp_path: Path):
    verdicts = ["different", "close", "superseded", "close", "reproduced", "close"]
    text = " ".join(costly(*built, tmp_path, verdicts).split())
    told = "Of 6 published values 1 is reproduced, 3 are close, 1 is different, 1 is superseded."
    assert told in text
    assert text.index(told) < text.index("<h3>Published</h3>")
    assert "<details><summary><h3>Published</h3>" in text, "the values themselves are folded"


def costly(
    folder: Path, options: dict[str, Any], out: Path, verdicts: Sequence[str] = ("close",) * 3
) -> str:
    """Return the page of a study that left a dataset out, and has published values and costs.

    verdicts: of the published values.
    """
    study = studies.read(Path(options["study"][0]))
    study = study.changed(left_out=[LeftOut(dataset="away", groups=[])])
    found = tabulated.read(folder / "tables")
    beside = []
    for verdict in verdicts:
        value = {"cite": "a value of theirs", "ours": 0.5, "verdict": verdict}
        beside.append(report_study.published_row(**value))
    training = costs.Spent(seconds=1234.5, device="<b>an abacus</b>")
    who = ("small-bert/infonce/1", "student", "small-bert", "infonce", 1)
    spent = costs.Cost(*who, training)
    found = replace(found, published=beside, spent=[spent])
    places = Places.around(out, [], tables=folder / "tables", study=Path("s"), figures=out)
    text = pages.render(study, found, [], {}, "None.", payload.Comparison([]), places)
    assert Seen(text).unclosed == []
    return text


def test_what_it_cost_stands_on_the_page(built: Any, tmp_path: Path):
    text = costly(*built, tmp_path)
    assert '<th scope="col" class="n">train s</th>' in text
    assert (
        "&lt;b&gt;an abacus&lt;/b&gt;" in text and "Energy: not readable on this machine." in text
    )
    row = text[text.index('<th scope="row">small-bert/infonce</th>', text.index("cost-title")) :]
    assert row[: row.index("</tr>")].endswith('<td class="n">1,234</td>')
    assert '<p class="left-out">away is left out: its texts are licensed' in text
    html = (built[0] / "index.html").read_text(encoding="utf-8")
    assert "cost-title" not in html and 'left-out">' not in html


def test_a_figure_too_large_to_draw_is_shown_as_its_picture(
    built: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
):
    folder = built[0] / "figures"
    kinds = {found.file[-4:] for found in illustrated(folder)}
    assert kinds == {".svg"}
    monkeypatch.setattr(illustrations, "_LARGE", (folder / "forest.svg").stat().st_size - 1)
    shown = {found.file: found for found in illustrated(folder)}
    assert "forest.png" in shown and "forest.svg" not in shown
    picture = base64.b64encode((folder / "forest.png").read_bytes()).decode()
    assert shown["forest.png"].source == f"data:image/png;base64,{picture}"


def test_pairs_of_other_measures_are_refused(built: Any, tmp_path: Path):
    """The page must not test with numbers that are not those of its tables."""
    folder, options = built
    rows = PAIRS.read(folder / "pairs.parquet")
    other = lineage.make("evaluate", "splade", {"measures": ["AP"]}, "", [])
    made = lineage.make("compare", "small", {}, "", [other])
    PAIRS.write(rows, tmp_path / "pairs.parquet", made)
    given = options | {"comparison": ["--pairs", str(tmp_path / "pairs.parquet")]}
    for kind in ("tables", "figures"):
        (tmp_path / kind).symlink_to(folder / kind)
    result = page(tmp_path, given)
    assert isinstance(result.exception, Stale)
    assert "evaluate splade" in str(result.exception) and not (tmp_path / "index.html").exists()


def test_the_page_of_the_papers_grid_stays_below_five_megabytes(tmp_path: Path):
    """Random numbers throughout, the worst that can be; every figure, drawn of them."""
    study, rng = largest_study.config(), np.random.default_rng(1)
    paths = largest_study.write(tmp_path, study, rng)
    compared = payload.comparison(study, paths[0], paths[1:])
    assert len(compared.contrasts) == compared.chosen == 22 * (500 // 22)
    tables = largest_study.tables(study, rng)
    assert len(tables.made.ancestors) > 22 * 163
    files = {name: tmp_path / name for name in ("study", "tables", "figures", "pairs")}
    places = Places.around(tmp_path / "index.html", [], **files)
    words = pages.captions(report_study.CAPTIONS)
    shown = illustrated(largest_study.draw(tmp_path, study, tables, rng))
    assert [Path(found.file).stem for found in shown] == figures.names()
    departures = (report_study.CAPTIONS.parents[1] / "docs/departures.md").read_text()
    text = pages.render(study, tables, shown, words, departures, compared, places)
    assert len(text.encode()) < 5_000_000
