"""The benchmark of architectures, at its smallest."""

import pytest
from click.testing import CliRunner

from benchmarks import architectures
from redistil.study.architectures import ARCHITECTURES

SMALLEST = ["--size", "tiny", "--passages", "6", "--batch", "2", "--turns", "1", "--threads", "1"]


def peer(query, grid, mask, turns, threads):
    """Score as PyLate does, which is in an environment of its own."""
    from sentence_transformers.util import maxsim

    return {"scores": maxsim(query, grid, b_mask=mask)[0].numpy(), "seconds": [1.0] * turns}


@pytest.fixture(scope="module")
def tables():
    """The tables of one run: of each, the rows by their first word."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(architectures, "_pylate", peer)
        done = CliRunner().invoke(architectures.main, SMALLEST)
    assert done.exit_code == 0, done.output
    found = []
    for part in done.stdout.split("\n\n")[1::2]:
        rows = [line.split(" | ") for line in part.splitlines()[2:]]
        found.append({row[0]: row[1:] for row in rows})
    return found


def test_every_architecture_has_a_training_step(tables):
    assert tables[2].keys() == ARCHITECTURES.keys()
    assert tables[2]["cat"][1] == "1.00x"
    assert all(float(row[0]) > 0 for row in tables[2].values())
    beside = [name for name, row in tables[2].items() if row[2].strip()]
    assert beside == ["dot", "colbert"]


def test_all_that_keep_something_read_stored_states(tables):
    assert list(tables[0]) == ["dot", "colbert", "prettr", "tk"]


def test_late_interaction_has_its_peers(tables):
    assert len(tables[1]) == 4 and tables[1]["redistil"][1] == "1.00x"
