"""Kinds of machine behind a study: counted from cost files, told where there are several."""

import json
from pathlib import Path
from typing import Any

from redistil.machine.hardware import kernels
from redistil.stages.report.numbers import machines
from redistil.stages.report.numbers.machines import Machine
from tests.made import report_study
from tests.made.report_study import ended_well, page, plot

AVX2 = {"instructions": "AVX2", "MKL": "2024.2"}
OLD = Machine("an abacus", 1, "instructions AVX2, MKL 2024.2")


def tell(path: Path, instructions: str = "AVX2", **more: Any) -> Path:
    told = {"device": "an abacus", "threads": 1, "kernels": AVX2 | {"instructions": instructions}}
    path.write_text(json.dumps(told | more))
    return path


def test_works_are_counted_by_kind(tmp_path: Path):
    files = [tell(tmp_path / str(number)) for number in range(3)]
    files.append(tell(tmp_path / "new", "AVX512"))
    files.append(tell(tmp_path / "wide", threads=2))
    found = machines.kinds([*files, tmp_path / "missing"])
    assert list(found.values()) == [3, 1, 1]
    assert next(iter(found)) == OLD


def test_works_without_kernels_count_nowhere(tmp_path: Path):
    none = tell(tmp_path / "none", kernels=None)
    several = tell(tmp_path / "several", kernels=[AVX2, AVX2])
    assert machines.kinds([none, several]) == {}


def test_one_kind_is_no_warning(tmp_path: Path):
    assert machines.warning({OLD: 9}) == []
    (said,) = machines.warning({OLD: 9, Machine("a slide rule", 2, "MKL 1"): 1})
    assert "ran on 2 kinds of machine" in said
    assert "an abacus, 1 thread, instructions AVX2, MKL 2024.2 (9 works)" in said
    assert "a slide rule, 2 threads, MKL 1 (1 work)" in said


def test_kinds_are_read_as_written(tmp_path: Path):
    works = {OLD: 9, Machine("a, b", 2, "MKL 1"): 1}
    machines.write(works, tmp_path)
    assert machines.read(tmp_path) == works
    assert machines.read(tmp_path / "nowhere") == {}


def test_this_machine_tells_its_kernels(monkeypatch: Any):
    monkeypatch.setenv("MKL_CBWR", "AVX")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    told = kernels()
    assert told["instructions"] and told["MKL"] and told["MKL_CBWR"] == "AVX"
    assert "ONEDNN_MAX_CPU_ISA" not in told


def test_a_mixed_study_is_told_on_its_page(tmp_path: Path, caplog: Any):
    options = report_study.write(tmp_path, report_study.config())
    for number, record in enumerate(options["models"]):
        tell(Path(record).parent / "cost.json", "AVX512" if number else "AVX2", seconds=1.0)
    ended_well(report_study.tabulate(tmp_path, options))
    (said,) = [text for text in caplog.messages if "kinds of machine" in text]
    ended_well(plot(tmp_path, options))
    ended_well(page(tmp_path, options))
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert said in html[: html.index("<nav")]
    assert "instructions AVX512, MKL 2024.2</td>" in html[html.index('id="machine"') :]
