"""The whole house in miniature: built, idle, stale where it should be, and nowhere else."""

import csv
import json
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import arithmetic, kills
from benchmarks.arithmetics import ARITHMETICS
from redistil.cli.commands import COMMANDS
from redistil.seeds import generator
from redistil.storage import lineage, verified
from redistil.storage.tables import RUN
from tests.pipeline import remotes
from tests.pipeline.comparisons import compared, margin, tabulating, telling, untold, values
from tests.pipeline.conftest import SECRET, cut_off

CELL = Counter(recipe=1, train=1, rerank=1, evaluate=1)
REPORT = Counter(resolve=1, tabulate=1, sweep=1, plot=1, compare=1, contrast=1, page=1)


@pytest.fixture(autouse=True)
def restored(house):
    """Leave the house as it was found: sources and settings of the last commit."""
    yield
    house.run("git", "checkout", "--quiet", "HEAD", "--", ".")


def test_the_plan_matches_the_grid(house):
    planned = Counter(json.loads((house.root / "dry.json").read_text()))
    assert planned == Counter(
        export_passages=2,  # of the held-out queries too: judged passages are looked up
        export_queries=4,
        build=3,
        tokenize=12,
        encode=1,
        retrieve=3,
        retrieve_bm25=3,
        mine=2,
        recipe=2,
        train=2,
        teacher_recipe=2,
        train_teacher=2,
        score=2,
        score_bm25=1,
        average=1,
        rerank=2,
        rerank_teacher=4,
        rerank_bm25=2,
        fuse=2,
        gate=1,
        shuffle=1,
        evaluate=4,
        evaluate_first_stage=2,
        **REPORT,
    )


def test_killed_anywhere_it_ends_in_the_same_bytes(house, tmp_path):
    arithmetic.copied(tmp_path)
    wanted = kills.bytes_made(house.root)
    starts, works = 0, 0
    for study in kills.killed(tmp_path, kills=8, seed=1, longest=20.0):
        assert kills.differing(wanted, kills.bytes_made(tmp_path)) == []
        assert study.unpaid() == []
        starts += len(study.after)
        works += len(study.held)
    assert starts == 8 and works > 0


def test_the_study_needs_no_network(house):
    if not cut_off():
        pytest.skip("NOT TRIED WITHOUT A NETWORK: `unshare --net true` does not work here")
    dark = "import socket; socket.create_connection(('127.0.0.1', 22), 5)"
    assert "unreachable" in house.run(*cut_off(), "python", "-c", dark, ok=False)
    assert "pydocs" in house.leaderboard()  # which the fixture built there


def test_no_secret_of_the_environment_is_written_down(house):
    assert not list(telling(house.root, SECRET))
    (house.root / "logs/told.log").write_text(f"HF_TOKEN={SECRET}")
    assert list(telling(house.root, SECRET)) == [house.root / "logs/told.log"]
    (house.root / "logs/told.log").unlink()


def test_the_leaderboard_holds_every_system(house):
    rows = list(csv.DictReader(house.leaderboard().splitlines()))
    students = {"tiny-bert/hinge", "tiny-bert/margin-mse"}
    others = {"random", "bm25", "tiny-splade", "pydocs-mean"}
    assert {row["system"] for row in rows} == students | others
    run = RUN.read(house.root / "results/miniature/runs/tiny-bert/hinge/1/pydocs-test.parquet")
    assert len(run) == 30 * 5
    page = (house.root / "results/miniature/report/index.html").read_text()
    assert "tiny-bert" in page and "http://" not in page.replace("http://www.w3.org", "")


def test_every_artefact_carries_a_digest(house, monkeypatch):
    monkeypatch.chdir(house.root)
    files = verified.files([Path("data"), Path("results")])
    seen = verified.verify(files)
    assert not seen.damaged and {path.name for path in seen.bare} <= {"README.md"}
    rng = generator(16, "pipeline")
    for path in seen.whole:
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        beside = [above / "made.json" for above in path.parents if (above / "made.json").exists()]
        if path.name == "made.json":  # its digests are of the other files of its folder
            beside = verified.files([path.parent])
        found = verified.verify([path, *beside])
        path.write_bytes(whole)
        assert found.damaged, path


def test_entries_and_knobs_that_reach_nothing_remake_nothing(house):
    house.study({"training": {"checkpoint_every": 3}, "losses": {"unused": {"like": "hinge"}}})
    assert house.planned() == Counter()
    house.study({"training": {"log_every": 1}})
    drawn = Counter(resolve=1, tabulate=1, plot=1, compare=1, contrast=1, page=1)
    assert house.planned() == drawn


def test_the_page_tells_a_failed_teacher(house):
    gate = house.root / "results/miniature/gates/pydocs-mean/gate.json"
    page = house.root / "results/miniature/report/index.html"
    told = "The teacher pydocs-mean failed its gate" in page.read_text()
    assert told != json.loads(gate.read_text())["passed"]


def test_records_tell_machines_and_teachers(house):
    tables = house.root / "results/miniature/report/tables"
    (kind,) = csv.DictReader((tables / "machines.csv").read_text().splitlines())
    assert "instructions " in kind["kernels"]
    backbones, trainings, runs = 2, 4, 4
    assert int(kind["works"]) == backbones + trainings + runs
    rows = csv.DictReader((tables / "costs.csv").read_text().splitlines())
    taught = {row["loss"]: row["teacher_device_seconds"] for row in rows if row["loss"]}
    assert float(taught["margin-mse"]) > 0 and taught["hinge"] == ""


def test_jobs_started_warm(house):
    started = Counter((house.root / ".snakemake/warm.log").read_text().split())
    assert started["train"] == 4 and set(started) <= set(COMMANDS)


def test_a_second_run_does_nothing(house):
    assert house.planned() == Counter()
    assert "up to date" in house.run("dvc", "status")
    assert "didn't change, skipping" in house.run("dvc", "repro")


def test_another_arithmetic_gives_equal_verdicts(house, tmp_path):
    """The acceptance test of the default study, in small: `python -m benchmarks.arithmetic`."""
    arithmetic.copied(tmp_path)
    arithmetic.run(tmp_path, "miniature", ARITHMETICS["mkl-compatible"])
    results = [root / "results/miniature" for root in (house.root, tmp_path)]
    verdicts = arithmetic.verdicts(folder / "report/tables" for folder in results)
    assert {len(both) for both in verdicts.values()} == {2}
    same = arithmetic.agreed(verdicts)
    assert same.keys() == verdicts.keys()
    lost = arithmetic.Comparison("In domain", "baselines", "tiny-bert/hinge", "bm25")
    assert same[lost] == "worse", "if nothing were decided, nothing could turn"


def test_publishing_makes_one_folder_per_model(house):
    house.run("snakemake", "publish")
    out = house.root / "results/miniature/published"
    cards = sorted(path.parent.relative_to(out) for path in out.glob("*/*/*/README.md"))
    assert [str(card) for card in cards] == ["tiny-bert/hinge/1", "tiny-bert/margin-mse/1"]
    assert house.planned() == Counter()  # copies of records are nobody's stray files


def test_every_result_is_traced(house, monkeypatch):
    monkeypatch.chdir(house.root)
    files = verified.files([Path("results")])
    assert {"index.html", "README.md", "study.yaml"} <= {path.name for path in files}
    for path in files:
        if path != Path("results/README.md"):
            assert untold(path) == [], path


def test_snakemake_report_holds_tables_and_figures(house, tmp_path):
    house.run("snakemake", "--report", str(tmp_path / "report.zip"))
    with zipfile.ZipFile(tmp_path / "report.zip") as found:
        names = [Path(name).name for name in found.namelist()]
    for name in ("leaderboard.csv", "tests.csv", "forest.svg", "curves.svg", "index.html"):
        assert any(name in found for found in names), names


def test_a_sibling_study_shares_all_data(house):
    (house.root / "studies/sibling.yaml").write_text("like: miniature")
    runs = Counter(rerank_teacher=4, rerank_bm25=2, fuse=2, shuffle=1, gate=1)
    own = CELL + CELL + Counter(evaluate=2, evaluate_first_stage=2) + runs + REPORT
    assert house.planned("--config", "study=sibling") == own
    (house.root / "studies/sibling.yaml").unlink()


def test_a_touch_remakes_nothing(house):
    for top in ("data", "results", "src", "studies", "params.yaml"):
        house.run("find", top, "-type", "f", "-exec", "touch", "{}", "+")
    assert house.planned() == Counter()


def test_words_remake_nothing(house):
    house.edit("src/redistil/learning/objectives.py", '"""Ranking', '# a remark\n"""Rank-order')
    house.edit("src/redistil/storage/pools.py", "is not sorted by query_id: ", "has no order: ")
    house.edit("src/redistil/cli/options.py", "CPU threads.", "Threads of the processor.")
    assert house.planned() == Counter()


def test_a_changed_formula_retrains_what_follows(house):
    formula = 'derive(recipe.seed, "head")'
    changed = formula.replace("head", "another head")
    house.edit("src/redistil/stages/models/__init__.py", formula, changed)
    assert house.planned() == Counter(
        train=2,
        train_teacher=2,
        score=2,
        average=1,
        gate=1,
        rerank=2,
        rerank_teacher=4,
        fuse=2,
        evaluate=3,
        sweep=1,
        tabulate=1,
        plot=1,
        compare=1,
        contrast=1,
        page=1,
    )


def test_a_loss_parameter_remakes_its_cells(house):
    house.study({"losses": {"hinge": {"margin": 2.0}}})
    assert house.planned() == CELL + REPORT


def test_a_new_seed_adds_its_cells(house):
    house.study({"grid": {"seeds": [1, 2]}})
    assert house.planned() == CELL + CELL + REPORT


def test_a_second_stage_follows_its_first(house):
    first = {"objective": "infonce", "temperature": 1.0, "reads": "lists"}
    second = {"objective": "adr-mse", "temperature": 1.0, "reads": "ranked-lists"}
    stages = {"first": first, "second": second | {"after": "first"}}
    house.study({"losses": stages, "grid": {"losses": ["hinge", "margin-mse", "second"]}})
    assert house.planned() == CELL + Counter(recipe=1, train=1) + REPORT
    model = "results/miniature/models/tiny-bert/second/1/made.json"
    house.run("snakemake", "--", model)
    assert "train tiny-bert/first/1" in lineage.of(house.root / model).inputs
    assert house.planned("--", model) == Counter()
    house.study({"losses": {"second": {"temperature": 2.0}}})
    assert house.planned("--", model) == Counter(recipe=1, train=1)
    house.study({"losses": {"second": {"temperature": 1.0}, "first": {"temperature": 2.0}}})
    assert house.planned("--", model) == Counter(recipe=1, train=2)
    house.run("dvc", "checkout", "--force")


def test_dvc_remakes_and_compares_changed_results(house):
    assert margin(house) == 1
    house.study({"losses": {"hinge": {"margin": 2.0}}, "random_seed": 2})
    assert "margin" in house.run("dvc", "params", "diff")
    house.run("dvc", "repro")
    assert house.planned() == Counter()
    assert margin(house) == 2
    assert "metrics.json" in house.run("dvc", "metrics", "show")
    # both show what the change did, and that it did nothing to the others; a student of four
    # steps may rank as before, the random order does not
    (metrics,) = values(compared(house, "metrics"), "In domain.random")
    told = json.loads((house.root / "results/miniature/report/tables/metrics.json").read_text())
    moved = metrics["In domain.random"]
    assert moved["old"] != moved["new"] == told["In domain"]["random"]
    touched = {"random", "hinge", "best student"}
    assert set(metrics) <= {f"In domain.{name}" for name in touched}
    lines: dict[str, dict[str, object]] = {"HEAD": {}, "workspace": {}}
    for point in values(compared(house, "plots"), "line"):
        lines[point["rev"]][point["line"]] = point["value"]
    before, after = lines.values()
    assert len(before) == len(after) == 6
    changed = {line.removeprefix("In domain: ") for line in before if before[line] != after[line]}
    assert "random" in changed and changed <= {"random", "tiny-bert/hinge"}
    # and back: what was made before is taken from the cache, not made again
    house.run("git", "checkout", "--quiet", "HEAD", "--", ".")
    house.run("dvc", "checkout", "--force")
    assert house.planned() == Counter()
    assert margin(house) == 1


def test_an_unused_teacher_is_refused_plainly(house):
    lone = {"student": "tiny-modernbert-teacher", "loss": "bce", "seed": 1}
    house.study({"teachers": {"pydocs-lone": {"model": lone, "over": ["pydocs-triples"]}}})
    said = house.run("snakemake", "-n", "data/teachers/pydocs-lone.parquet", ok=False)
    assert "teachers.pydocs-lone: the study miniature neither tests it nor learns from it" in said


@pytest.mark.parametrize("kind", [remotes.folder, remotes.bucket])
def test_a_colleague_pulls_and_retrains_nothing(house, tmp_path, kind):
    with kind(tmp_path) as store:
        here = store.join(house)
        remotes.break_off(here, store, after=20)
        some = store.sums()
        here.run(*remotes.DVC, "push")
        assert some < store.sums()  # what arrived before is kept
        house.run("git", "clone", "--quiet", str(house.root), str(tmp_path / "other"))
        colleague = store.join(type(house)(tmp_path / "other"))
        colleague.run(*remotes.DVC, "pull")
        there = store.sums()
        here.run(*remotes.DVC, "remote", "remove", "--local", "store")
    assert colleague.planned() == Counter()
    assert colleague.leaderboard() == house.leaderboard()
    # texts that nobody may hand on are neither there nor in the cache; the others are in both
    withheld = remotes.texts(house, "pydocs-held-out")
    cached = remotes.Folder(house.root / ".dvc/cache").sums()
    assert not {*withheld.values()} & (there | cached)
    assert {*remotes.texts(house, "pydocs").values()} <= there & cached
    # who may have them makes them, and remakes nothing else
    colleague.run("snakemake", "--", *withheld)
    assert remotes.texts(colleague, "pydocs-held-out") == withheld
    assert colleague.planned() == Counter()


def test_experiments_wait_in_a_queue(house):
    changed = {"wide": "losses.hinge.margin=2.0", "other": "studies/embedded.yaml:random_seed=2"}
    for name, setting in changed.items():
        house.run("dvc", "exp", "run", "--queue", "--name", name, "--set-param", setting)
    house.run("dvc", "exp", "run", "--run-all")
    (moved,) = values(compared(house, "metrics", "HEAD", "other"), "In domain.random")
    assert set(moved) == {"In domain.random"}
    assert not list(values(compared(house, "metrics", "HEAD", "wide"), "In domain.random"))
    assert "margin" in house.run("dvc", "params", "diff", "HEAD", "wide")
    assert margin(house) == 1 and house.planned() == Counter()  # this folder is left as it was
    house.run("dvc", "exp", "apply", "wide")
    assert margin(house) == 2 and house.planned() == Counter()
    house.run("git", "checkout", "--quiet", "HEAD", "--", ".")
    house.run("dvc", "checkout", "--force")
    assert house.planned() == Counter()


class TestNoSilentlyStaleNumber:
    """The traps in which a plain pipeline ends with exit 0 and a wrong table."""

    def test_missing_records_of_snakemake_are_refused(self, house):
        metadata = house.root / ".snakemake/metadata"
        metadata.rename(house.root / ".snakemake/kept")
        try:
            house.study({"losses": {"hinge": {"margin": 2.0}}})
            said = house.run("snakemake", ok=False)
            assert "no record of what made them" in said
            house.run("git", "checkout", "--quiet", "HEAD", "--", ".")
            (advice,) = re.findall(r"if you know that they fit: `(.*)`", said)
            house.run(*advice.split())
            assert house.planned() == Counter()
        finally:
            shutil.rmtree(metadata, ignore_errors=True)
            (house.root / ".snakemake/kept").rename(metadata)

    def test_a_file_without_record_is_refused(self, house):
        path = "results/miniature/runs/tiny-bert/hinge/1/pydocs-test.parquet"
        house.run("snakemake", "--cleanup-metadata", path)
        try:
            assert path in house.run("snakemake", ok=False)
        finally:
            house.run("dvc", "checkout", "--force")

    def test_an_outdated_run_is_refused(self, house):
        """A run whose time is newer than the model's, though the model is not the one it ran."""
        model = "results/miniature/models/tiny-bert/hinge/1/made.json"
        made = lineage.Made.loads((house.root / model).read_text())
        other = lineage.Made(made.command, made.name, made.settings, "other code", made.inputs)
        (house.root / model).write_text(other.dumps())
        said = house.run("redistil", *tabulating(house), ok=False)
        assert "different versions of train tiny-bert/hinge/1" in said
        house.run("dvc", "checkout", "--force")

    def test_a_dropped_cell_leaves_the_table(self, house):
        house.study({"grid": {"losses": ["margin-mse"]}})
        house.run("snakemake")
        assert "hinge" not in house.leaderboard()
        house.run("git", "checkout", "--quiet", "HEAD", "--", ".")
        house.run("dvc", "checkout", "--force")
        assert "hinge" in house.leaderboard()

    def test_tables_of_another_study_are_refused(self, house):
        house.study({"losses": {"hinge": {"margin": 2.0}}})
        study = house.root / "other.yaml"
        text = (house.root / "results/miniature/study.yaml").read_text()
        *lines, _ = text.splitlines(keepends=True)  # the last one is the digest of the others
        study.write_text("".join(lines).replace("margin: 1.0", "margin: 2.0"))
        said = house.run("redistil", *tabulating(house, str(study)), ok=False)
        assert "margin" in said and "2" in said
        study.unlink()
