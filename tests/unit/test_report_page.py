"""The page as a file: what it says, that it is whole, small, and loads nothing.

What it does in a browser is in test_report_browser.py.
"""

import base64
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redistil import lineage
from redistil import study as studies
from redistil.errors import Stale
from redistil.report import (
    contrasts,
    costs,
    leaderboard,
    pairs,
    payload,
    prose,
    statistics,
    tabulated,
    wording,
)
from redistil.report import page as pages
from redistil.report.leaderboard import Settings
from redistil.tables import CONTRASTS, PAIRS
from tests.unit import largest_study, report_study
from tests.unit.report_study import SYSTEMS, command, ended_well, named, page, plot, values_of


class Seen(HTMLParser):
    """What a browser would find: tags in order, their attributes, the text of the body."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.unclosed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br", "hr", "link", "input", "option"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "option" and (not self._open or self._open.pop() != tag):
            self.unclosed.append(tag)

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in {"script", "style"}:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def carried(html: str) -> dict[str, Any]:
    """Return what the page's script would read."""
    packed = re.search(r'id="data">([A-Za-z0-9+/=]+)</script>', html)
    assert packed
    inflated = zlib.decompress(base64.b64decode(packed[1]), -zlib.MAX_WBITS)
    found: dict[str, Any] = json.loads(inflated)
    return found


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


def test_the_policy_names_the_only_style_and_script(html: str, seen: Seen):
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


def test_the_page_says_for_every_loss_whether_it_beats_the_first_stage(built: Any, seen: Seen):
    tables = json.loads((built[0] / "tables" / "tables.json").read_text())
    text = " ".join(seen.text.split())
    for row in tables["losses"]:
        value, difference = wording.number(row["value"]), wording.signed(row["difference"])
        assert f"{row['loss']}{value} {difference}" in text
        assert f"{wording.p_value(row['p_holm'])} {row['verdict']}" in text
    best = max((r["In domain"], r["student"]) for r in tables["leaderboard"] if r["student"])
    assert f"the best student is {best[1]} taught with infonce {best[0]:.3f} better" in text


def test_every_figure_has_its_caption_and_its_file(built: Any, seen: Seen):
    for name in ("bars", "curves"):
        caption = (report_study.CAPTIONS / f"{name}.rst").read_text().strip()
        assert caption in seen.text
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
    study["corpora"]["python"]["licence"] = "ask <them>"
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
    assert "Holm-corrected over the one loss, or" in alone
    assert "2 students × 2 losses × 2 seeds, each" in several
    assert "Holm-corrected over the 2 losses, or" in several


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


def costly(folder: Path, options: dict[str, Any], out: Path) -> str:
    """Return the page of a study that left a data set out, and has published values and costs."""
    study = studies.read(Path(options["study"][0]))
    study |= {"left_out": [{"dataset": "away", "groups": []}]}
    found = tabulated.read(folder / "tables")
    row = {"cite": "a value of theirs", "ours": 0.5}
    spent = dict.fromkeys(costs.HEADER) | {"system": "small-bert/infonce/1", "kind": "student"}
    spent |= {"training_seconds": 1234.5, "training_device": "<b>an abacus</b>"}
    found = replace(found, published=[row] * 3, spent=[spent])
    places = pages.Places.around(out, [], tables=folder / "tables", study=Path("s"), figures=out)
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
    figures = built[0] / "figures"
    kinds = {found["name"][-4:] for found in pages.illustrations(figures, {})}
    assert kinds == {".svg"}
    monkeypatch.setattr(pages, "_LARGE", (figures / "bars.svg").stat().st_size - 1)
    shown = {found["name"]: found for found in pages.illustrations(figures, {})}
    assert "bars.png" in shown and "bars.svg" not in shown
    picture = base64.b64encode((figures / "bars.png").read_bytes()).decode()
    assert shown["bars.png"]["source"] == f"data:image/png;base64,{picture}"


# --- pairs ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tested() -> list[dict[str, Any]]:
    study = report_study.config()
    rows: list[dict[str, Any]] = pairs.compare(study, values_of(study), 2000, 1).to_pylist()
    return rows


def test_every_pair_of_lines_is_tested_in_every_group_and_data_set(tested: list[dict[str, Any]]):
    scopes = ["In domain", "Out of domain", "test", "hard", "away"]
    assert list(dict.fromkeys(row["scope"] for row in tested)) == scopes
    for scope in scopes:
        found = {(r["system"], r["against"]) for r in tested if r["scope"] == scope}
        assert len(found) == SYSTEMS * (SYSTEMS - 1) / 2


def test_a_pair_is_tested_as_the_leaderboard_tests_it(tested: list[dict[str, Any]]):
    """The first stage comes before the students, so the signs are turned."""
    study = report_study.config()
    tables = leaderboard.tabulate(study, values_of(study), Settings(0.05, 2000, 1, 0.005))
    lines = [row for row in tables.tests if row["family"] == "cells"]
    assert lines
    for line in lines:
        (pair,) = [
            row
            for row in tested
            if (row["scope"], row["system"], row["against"])
            == (line["group"], "splade", line["system"])
        ]
        assert pair["difference"] == pytest.approx(-line["difference"])
        assert pair["p"] == pytest.approx(line["p"])
        assert pair["p_randomisation"] == pytest.approx(line["p_randomisation"], abs=0.02)
        assert pair["p_holm"] >= pair["p"]


def test_the_interval_is_that_of_the_paired_t_test(tested: list[dict[str, Any]]):
    from scipy import stats

    study = report_study.config()
    values = values_of(study).per_query
    (row,) = [
        row
        for row in tested
        if (row["scope"], row["system"], row["against"]) == ("away", "splade", "bm25")
    ]
    differences = values["splade", "away"] - values["bm25", "away"]
    interval = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert row["wins"] == (differences > 0).sum() and row["losses"] == (differences < 0).sum()


def test_a_single_query_leaves_everything_possible():
    """As `statistics.interval` says; 0 would pass for certainty."""
    found = pairs._pair([np.array([0.1, 0.2, 0.3]), np.array([0.4])])
    assert (found["low"], found["high"], found["p"]) == (-1.0, 1.0, 1.0)
    same = pairs._pair([np.zeros(3)])
    assert (same["low"], same["high"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("difference", "p", "shown", "word"),
    [
        (0.2, 0.04999, 500, 1),  # rounded, it would be no less than alpha
        (-0.2, 0.04999, 500, -1),
        (0.2, 0.05, 500, 0),
        (0.00001, 0.001, 10, 1),  # rounded, the difference would be none
        (0.2, 0.00099, 0, 1),  # printed as "< 0.001", as in the tables
        (0.2, 0.04946, 490, 1),
    ],
)
def test_a_verdict_is_carried_and_not_told_from_what_is_rounded(
    difference: float, p: float, shown: int, word: int
):
    row = {"scope": "x", "queries": 9, "wins": 1, "losses": 2, "difference": difference}
    row |= dict.fromkeys(("low", "high"), 0.0) | dict.fromkeys(
        ("p", "p_randomisation", "p_holm"), p
    )
    (small,) = payload._pairs([row], 0.05)["x"]["rows"]
    assert small[5] == shown and small[-1] == word
    assert wording.p_value(p) == ("< 0.001" if shown < 10 else f"{shown / payload.SCALE:.3f}")


def test_signing_systems_is_signing_their_differences():
    """The shortcut by linearity gives the p values of the plain randomisation test."""
    rng = np.random.default_rng(1)
    strata = [rng.random((3, 30)) + np.array([[0], [0.05], [0.3]]), rng.random((3, 20))]
    couples = [(0, 1), (0, 2), (1, 2)]
    fast = pairs.randomised(strata, couples, 4000, np.random.default_rng(2))
    plain = statistics.paired_randomisation(
        [np.stack([s[a] - s[b] for a, b in couples]) for s in strata],
        4000,
        np.random.default_rng(3),
    )
    assert fast == pytest.approx(plain, abs=0.03)
    assert fast[1] < 0.05 < fast[0]


# --- contrasts --------------------------------------------------------------------------------


def test_the_chosen_queries_show_every_pair_its_largest_lead_first():
    """Worked by hand: of 4 queries, q2 shows a's lead (0.9), q0 b's (0.5); q1 shows nothing new."""
    values = np.array([[0.0, 0.4, 1.0, 0.3], [0.5, 0.4, 0.1, 0.2]])
    assert contrasts.choose(values, 2) == [2, 0]
    assert contrasts.choose(values, 3) == [2, 0, 3]  # a second round: the second largest lead
    assert contrasts.choose(values, 9) == [2, 0, 3]  # both agree on q1: it is never shown


def test_the_greedy_choice_is_near_the_best_choice():
    from itertools import combinations

    def worth(values: np.ndarray, chosen: tuple[int, ...]) -> float:
        return float(contrasts._leads(values[:, list(chosen)]).max(axis=1).sum())

    for seed in range(20):
        values = np.random.default_rng(seed).random((4, 9))
        best = max(worth(values, chosen) for chosen in combinations(range(9), 3))
        assert worth(values, tuple(contrasts.choose(values, 3))) >= (1 - 1 / np.e) * best


def test_a_contrast_shows_values_ranks_and_judgements_as_they_are(built: Any, html: str):
    folder, options = built
    data = carried(html)
    assert {c["dataset"] for c in data["contrasts"]} == {"test", "hard", "away"}
    study = report_study.config()
    names = [line["name"] for line in data["lines"]]
    rows = CONTRASTS.read(folder / "contrasts" / "away.parquet").to_pylist()
    for row in rows:
        (found,) = [
            c for c in data["contrasts"] if (c["dataset"], c["id"]) == ("away", row["query_id"])
        ]
        place = names.index(row["system"])
        assert found["values"][place] == round(row["value"] * payload.SCALE)
        doc = found["docs"][found["ranked"][place][row["rank"] - 1]]
        assert doc == [row["doc_id"], row["relevance"] if row["judged"] else None, row["passage"]]
        assert row["judged"] == (row["doc_id"] == "doc0")
        assert len(row["passage"]) <= 60 and len(row["query"]) <= 60
    assert {row["rank"] for row in rows} == {1, 2, 3}
    assert len(study["grid"]["datasets"]) * 6 == len(data["contrasts"])


def test_the_ranking_shown_is_that_of_the_first_seed(built: Any):
    from redistil.tables import RUN

    folder, _ = built
    rows = CONTRASTS.read(folder / "contrasts" / "test.parquet").to_pylist()
    run = RUN.read(folder / "runs" / "small-bert/infonce/1" / "test.parquet").to_pylist()
    ranked = {(row["query_id"], row["rank"]): row["doc_id"] for row in run}
    ours = [row for row in rows if row["system"] == "small-bert/infonce"]
    assert ours and all(row["doc_id"] == ranked[row["query_id"], row["rank"]] for row in ours)


def test_a_run_that_is_missing_is_named(built: Any, tmp_path: Path):
    folder, options = built
    texts = [folder / kind / "away.parquet" for kind in ("queries", "qrels")]
    sizes = ["--dataset", "away", "--queries", 6, "--depth", 3, "--characters", 60]
    result = command(
        "contrast", options["study"][0], texts[0], folder / "passages.parquet", texts[1],
        tmp_path / "out.parquet", *named(options, "measures"), *sizes,
        "--runs", folder / "runs/random/1/away.parquet",
    )  # fmt: skip
    assert isinstance(result.exception, Stale)
    assert "no run of splade/away" in str(result.exception)
    assert not (tmp_path / "out.parquet").exists()


def test_a_page_that_would_be_too_large_keeps_the_first_choices_of_every_data_set():
    rng = np.random.default_rng(1)
    found = [
        {"dataset": dataset, "choice": choice, "query": rng.bytes(500).hex()}
        for dataset in ("a", "b")
        for choice in range(1, 101)
    ]
    kept = payload.bounded(found, 30_000)
    assert 0 < len(payload.compressed(kept)) <= 30_000
    last = max(c["choice"] for c in kept)
    assert [c["choice"] for c in kept] == [*range(1, last + 1)] * 2
    assert payload.bounded(found, 10_000_000) == found and payload.bounded(found, 10) == []


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


# --- the largest study ------------------------------------------------------------------------


def test_the_page_of_the_papers_grid_stays_below_five_megabytes(tmp_path: Path):
    """Random numbers throughout, the worst that can be; every figure, drawn of them."""
    study, rng = largest_study.config(), np.random.default_rng(1)
    paths = largest_study.write(tmp_path, study, rng)
    compared = payload.comparison(study, paths[0], paths[1:], 0.05)
    assert len(compared.contrasts) == compared.asked == 22 * (500 // 22)
    tables = largest_study.tables(study, rng)
    assert len(tables.made.ancestors) > 22 * 163
    files = {name: tmp_path / name for name in ("study", "tables", "figures", "pairs")}
    places = pages.Places.around(tmp_path / "index.html", [], **files)
    words = pages.captions(report_study.CAPTIONS)
    shown = pages.illustrations(largest_study.draw(tmp_path, study, tables, rng), words)
    assert len(shown) == 10
    departures = (report_study.CAPTIONS.parents[1] / "docs/departures.md").read_text()
    text = pages.render(study, tables, shown, words, departures, compared, places)
    assert len(text.encode()) < 5_000_000


# --- words ------------------------------------------------------------------------------------


def test_numbers_in_words():
    assert (wording.number(0.12345), wording.number(None)) == ("0.123", "–")
    assert (wording.signed(0.0104), wording.signed(-0.0104)) == ("+0.010", "\N{MINUS SIGN}0.010")
    assert (wording.p_value(0.0009), wording.p_value(0.04), wording.p_value(None)) == (
        "< 0.001",
        "0.040",
        "–",
    )


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
