"""Who may import whom (house.md, section 2), read from the syntax trees."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "redistil"
FLOORS = [
    {
        "energy",
        "errors",
        "exchange",
        "identifiers",
        "lineage",
        "machine",
        "overlaps",
        "placed",
        "pieces",
        "pools",
        "ragged",
        "scratch",
        "seeds",
        "settings",
        "shards",
    }
    | {"spill", "stretches", "tables", "trec"},
    {"batches", "checks", "costs", "examples", "grid", "history", "kinds", "objectives"}
    | {"optimise", "overlays", "precision", "processes", "references", "scoring", "splade"}
    | {"students", "study", "validation"},
    {"backbones", "candidates", "corpora", "downloads", "measures", "models", "negatives"}
    | {"report", "runs", "teachers", "tokens"},
    {"__main__", "cli"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(path for path in SRC.rglob("*.py") if path != SRC / "__init__.py")
DOORS = {"ir_datasets": "corpora", "ranx": "measures", "snakemake": None, "dvc": None}
WITHOUT_TORCH = "corpora downloads negatives measures report study tokens cli".split()

every_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))


def room_of(path):
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def imported(path):
    """Every module that a file imports, wherever in it, by its dotted name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_used(path):
    names = (name.split(".") for name in imported(path))
    return {name[1] for name in names if name[0] == "redistil" and len(name) > 1}


def test_every_room_has_a_floor():
    assert {room_of(path) for path in FILES} == set(FLOOR)


@every_file
def test_imports_point_down_and_stages_never_meet(path):
    room = room_of(path)
    for used in rooms_used(path) - {room}:
        assert FLOOR[used] <= FLOOR[room], f"{used} is above {room}"
        assert FLOOR[room] != 2 or FLOOR[used] < 2, f"stage {room} imports stage {used}"


@every_file
def test_every_collection_and_measure_comes_through_its_one_door(path):
    for name in imported(path):
        door = DOORS.get(name.split(".")[0], room_of(path))
        assert door == room_of(path), f"{name} is imported outside {door}"


def test_a_job_that_needs_no_torch_does_not_import_it():
    modules = [f"redistil.{room}" for room in WITHOUT_TORCH if room != "cli"]
    modules += [f"redistil.cli.{path.stem}" for path in (SRC / "cli").glob("*.py")]
    modules += [f"redistil.report.{path.stem}" for path in (SRC / "report").glob("*.py")]
    modules += ["redistil.candidates.bm25", "redistil.candidates.imported"]
    check = "import sys, importlib\nfor name in sys.argv[1:]:\n"
    check += "    importlib.import_module(name.removesuffix('.__init__'))\n"
    check += "    assert not {'torch', 'transformers'} & sys.modules.keys(), name"
    done = subprocess.run([sys.executable, "-c", check, *modules], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-300:]
