"""Which folder may import which (house.md, section 2), read from the syntax trees."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "redistil"
FLOORS = ["ground", "storage", "machine", "study", "learning", "stages", "cli"]  # upwards
GROUND = {"__init__.py", "errors.py", "seeds.py"}
DOORS = {"ir_datasets": "corpora", "ranx": "measures", "duckdb": "storage"}
DOORS |= {"snakemake": "none", "dvc": "none"}
WITHOUT_TORCH = ["corpora", "downloads", "exports", "negatives", "measures", "report", "tokens"]

FILES = sorted(SRC.rglob("*.py"))
SPEED = sorted((SRC / "learning" / "speed").glob("*.py"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))


def floor_of(path):
    """Return the floor of a file below `src/redistil`, by its first folder."""
    parts = path.relative_to(SRC).parts
    if len(parts) > 1:
        return parts[0]
    return "ground" if path.name in GROUND else "cli"


def room_of(path):
    """Return the room of a file: the stage, or else the floor."""
    parts = path.relative_to(SRC).parts
    return parts[1].removesuffix(".py") if parts[0] == "stages" else floor_of(path)


def imported(path):
    """Yield the dotted name of all that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path):
    """Yield what a file imports of this package, as words below `redistil`."""
    for name in imported(path):
        first, *words = name.split(".")
        if first == "redistil" and words:
            yield words


def test_floors_are_the_folders():
    folders = {path.name for path in SRC.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(FLOORS) - {"ground"}
    assert {path.name for path in SRC.glob("*.py")} == GROUND | {"__main__.py"}


@every_file
def test_imports_point_down(path):
    here = FLOORS.index(floor_of(path))
    for words in ours(path):
        there = words[0] if words[0] in FLOORS else "ground"
        assert FLOORS.index(there) <= here, f"{path} imports {'.'.join(words)}"


@every_file
def test_stages_never_meet(path):
    if floor_of(path) == "stages":
        for words in ours(path):
            assert words[0] != "stages" or words[1] == room_of(path), f"{path}: {words}"


@pytest.mark.parametrize("path", SPEED, ids=lambda p: p.name)
def test_speed_knows_no_student(path):
    """Students are made faster; so either can be imported first."""
    for words in ours(path):
        assert words[:2] != ["learning", "students"], f"{path} imports {'.'.join(words)}"


@every_file
def test_a_library_has_one_door(path):
    for name in imported(path):
        door = DOORS.get(name.split(".")[0])
        assert door in (None, room_of(path)), f"{name} is imported outside {door}"


def test_jobs_without_torch_import_none():
    modules = []
    for folder in ("cli", "study", *(f"stages/{stage}" for stage in WITHOUT_TORCH)):
        paths = sorted((SRC / folder).rglob("*.py")) or [SRC / f"{folder}.py"]
        modules += [".".join(path.relative_to(SRC.parent).with_suffix("").parts) for path in paths]
    modules += ["redistil.stages.candidates.bm25", "redistil.stages.candidates.imported"]
    check = "import sys, importlib\nfor name in sys.argv[1:]:\n"
    check += "    importlib.import_module(name.removesuffix('.__init__'))\n"
    check += "    assert not {'torch', 'transformers'} & sys.modules.keys(), name"
    done = subprocess.run([sys.executable, "-c", check, *modules], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-300:]
