"""TensorBoard's curves, of which several processes write one."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from redistil.machine.processes import Processes
from redistil.stages import models
from redistil.stages.models.reading import Inputs
from redistil.storage import lineage
from redistil.storage.tables import CURVE, LISTS
from redistil.study.recipes import recipe as typed_recipe
from tests.made import tiny


@pytest.fixture
def boards(monkeypatch):
    """Every writer that is opened, with the steps that it was told."""
    opened = []

    class SummaryWriter:
        def __init__(self, folder):
            opened.append(SimpleNamespace(folder=folder, steps=[]))

        def add_scalar(self, name, value, step):
            opened[-1].steps += [step] if name == "loss" else []

        def close(self):
            pass

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return opened


@pytest.mark.parametrize("first", [True, False])
def test_only_the_first_process_opens_a_board(tmp_path, boards, monkeypatch, first):
    backbone = tiny.checkpoint(tmp_path / "bert")
    queries = tiny.tokens(tmp_path / "q.arrow", backbone, tiny.texts(4, "q", 4))
    passages = tiny.tokens(tmp_path / "d.arrow", backbone, tiny.texts(6, "d", 8))
    columns = [f"q{i}" for i in range(4)], [[f"d{i}" for i in range(3)]] * 4, [[1, 0, 0]] * 4
    rows = LISTS.rows(dict(zip(LISTS.schema.names, columns, strict=True)))
    lists = tmp_path / "lists.parquet"
    LISTS.write(rows, lists, lineage.Made("mine", "mined"))
    monkeypatch.setattr(Processes, "first", first)
    out, board = tmp_path / "out", tmp_path / "board"
    out.mkdir()
    recipe, made = typed_recipe(tiny.recipe()), lineage.Made("train", "cell")
    inputs = Inputs(backbone, queries, passages, lists)
    with Processes("cpu") as processes:
        models.train(recipe, inputs, out, made, processes, board)
    wanted = [(str(board / "cell"), [1, 2])] if first else []
    assert [(one.folder, one.steps) for one in boards] == wanted
    assert (out / "curve.parquet").exists() == first
    assert not first or CURVE.count(out / "curve.parquet") == 2
