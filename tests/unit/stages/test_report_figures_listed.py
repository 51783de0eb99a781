"""The list of figures: one file each, with its caption."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import redistil
from redistil.stages.report import figures
from redistil.storage import lineage
from tests.made import report_study


def test_a_figure_is_added_as_one_file(tmp_path: Path):
    """In a copy of the package: it is listed for the Snakefile, drawn, and counts as code."""
    root = tmp_path / "redistil"
    shutil.copytree(Path(redistil.__file__).parent, root)
    given = "from redistil.stages.report import figures; print(*figures.names())"
    code = "from redistil.cli.commands import code_of; print(code_of('plot', {}))"
    before = python(tmp_path, given).split(), python(tmp_path, code)
    words = ["from redistil.stages.report.figures.drawing.style import note", "CAPTION = 'Of all.'"]
    words += ["def draw(given):", "    return note(given.study['title'])", ""]
    (root / "stages/report/figures/axolotl.py").write_text("\n".join(words))
    after = python(tmp_path, given).split(), python(tmp_path, code)
    assert after[0] == ["axolotl", *before[0]] and after[1] != before[1]
    study = report_study.config()
    options = report_study.write(tmp_path, study)
    report_study.ended_well(report_study.tabulate(tmp_path, options))
    paths = [options["study"][0], str(tmp_path / "tables"), str(tmp_path / "figures")]
    python(tmp_path, "from redistil.cli import main; main()", "plot", *paths)
    assert "A small study" in (tmp_path / "figures/axolotl.svg").read_text()
    assert (tmp_path / "figures/axolotl.rst").read_text() == "Of all.\n"
    assert "axolotl.svg" in lineage.of(tmp_path / "figures").settings["sha256"]


def python(path: Path, code: str, *words: str) -> str:
    """Return what Python prints that imports the package from `path`."""
    environment = os.environ | {"PYTHONPATH": str(path)}
    line = [sys.executable, "-c", code, *words]
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_listing_the_figures_imports_no_heavy_library():
    code = "import sys; from redistil.stages.report import figures; figures.names(); "
    code += "print({'matplotlib', 'torch', 'pandas', 'pyarrow'} & set(sys.modules))"
    assert python(Path(redistil.__file__).parents[1], code) == "set()\n"


def test_every_figure_has_a_caption():
    for name in figures.names():
        caption = figures.module_of(name).CAPTION
        assert caption.endswith(".") and "\n" not in caption, name
