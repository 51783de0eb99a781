"""Several processes: the loss curve and the scores of one, within rounding."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from redistil.errors import BadSettings
from redistil.machine import processes
from redistil.machine.processes import Processes, autocast
from redistil.storage import lineage
from redistil.storage.tables import CURVE, LISTS, QRELS, RUN, VALIDATION, ranked
from tests.made import tiny

VALUES = {"loss", "gradient_norm", "value"}
OF_COLBERT = {"architecture": "colbert", "dimensions": 6, "masks": 2, "mask_position": "before"}
ARCHITECTURES: dict[str, dict[str, Any]] = {"cat": {}, "colbert": OF_COLBERT}


def launch(count, *words):
    """Run a command under torchrun, as the documentation says."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            str(count),
            "-m",
            "redistil",
            *map(str, words),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    backbone = tiny.checkpoint(folder / "bert")
    tiny.tokens(folder / "q.arrow", backbone, tiny.texts(6, "q", 4))
    tiny.tokens(folder / "d.arrow", backbone, tiny.texts(12, "d", 8))
    pools = {f"q{i}": [f"d{(3 * i + j) % 12}" for j in range(5)] for i in range(6)}
    columns = {"query_id": list(pools), "doc_ids": list(pools.values())}
    lists = LISTS.rows(columns | {"relevances": [[1, 0, 0, 0, 0]] * 6})
    LISTS.write(lists, folder / "lists.parquet", lineage.Made("mine", "mined"))
    pairs = [(q, d) for q, docs in pools.items() for d in docs]
    run = ranked(*zip(*pairs, strict=True), [0.0] * len(pairs))
    RUN.write(run, folder / "run.parquet", tiny.MADE)
    qrels = {"query_id": list(pools), "doc_id": [docs[1] for docs in pools.values()]}
    QRELS.write(QRELS.rows(qrels | {"relevance": [1] * 6}), folder / "qrels.parquet", tiny.MADE)
    asked = {"datasets": {"dev": 1}, "every": 2, "depth": 5, "measure": "nDCG@10"}
    validation = asked | {"keep": "best", "patience": None, "first_stage": "run"}
    how = {"steps": 6, "batch": 4, "passages": 5, "memory": {"at_once": 64, "held": 100}}
    for name, own in ARCHITECTURES.items():
        recipe = tiny.recipe(validation=validation, **how, **own)
        if own:
            del recipe["pair_length"], recipe["pair_form"]
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    return folder


def train(house, out, count, architecture):
    inputs = [house / name for name in ("bert/made.json", "q.arrow", "d.arrow", "lists.parquet")]
    dev = [house / name for name in ("run.parquet", "qrels.parquet", "q.arrow", "d.arrow")]
    launch(
        count,
        "train",
        house / f"{architecture}.yaml",
        *inputs,
        out,
        "--validate",
        "dev",
        *dev,
        "--device",
        "cpu",
        "--name",
        "cell",
    )
    return out


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_two_processes_train_as_one(house, tmp_path, architecture):
    one, two = (train(house, tmp_path / str(count), count, architecture) for count in (1, 2))
    for table, name in ((CURVE, "curve"), (VALIDATION, "validation")):
        ours, theirs = (table.read(out / f"{name}.parquet") for out in (two, one))
        assert ours["step"] == theirs["step"] and len(ours) > 2
        for column in set(table.schema.names) & VALUES:
            np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-4)
    one_scores, two_scores = (mean_scores(out) for out in (one, two))
    if architecture == "cat":  # no loss here sees its bias, which only rounding moves
        one_scores, two_scores = np.diff(one_scores), np.diff(two_scores)
    scale = np.abs(one_scores).max()
    np.testing.assert_allclose(two_scores, one_scores, rtol=0, atol=1e-4 * scale)
    assert {path.name for path in two.iterdir()} == {path.name for path in one.iterdir()}
    assert lineage.of(one) == lineage.of(two)


def mean_scores(model):
    """Return the mean scores [steps, 2] of positives and of negatives."""
    curve = CURVE.read(model / "curve.parquet")
    return np.stack([curve["positive_score"], curve["negative_score"]], axis=1)


def test_two_processes_rerank_as_one(house, tmp_path):
    model = tiny.model(tmp_path / "model", house / "bert")
    files = house / "q.arrow", house / "d.arrow"
    for count in (1, 2):
        launch(
            count,
            "rerank",
            house / "run.parquet",
            model / "made.json",
            *files,
            tmp_path / f"{count}.parquet",
            "--depth",
            5,
            "--precision",
            "float32",
            "--device",
            "cpu",
            "--name",
            "same",
        )
    one, two = (RUN.read(tmp_path / f"{count}.parquet") for count in (1, 2))
    assert one.drop(["score"]) == two.drop(["score"])
    np.testing.assert_allclose(one["score"], two["score"], atol=1e-6)
    assert lineage.of(tmp_path / "1.parquet") == lineage.of(tmp_path / "2.parquet")


def test_one_process_is_its_own_total():
    alone = Processes("cpu")
    assert alone.first and alone.total(torch.ones(2)).tolist() == [1, 1]


def test_a_precision_sets_the_products():
    with autocast(torch.device("cpu"), "tf32"):
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        assert not torch.is_autocast_enabled("cpu")
    with autocast(torch.device("cpu"), "bfloat16"):
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.is_autocast_enabled("cpu")


def test_a_missing_device_is_refused():
    assert processes.device_of("cpu") == torch.device("cpu")
    for name in ("cuda:99", "nonsense", "xla"):
        with pytest.raises(BadSettings, match=f"--device: this machine has no '{name}'"):
            processes.device_of(name)
