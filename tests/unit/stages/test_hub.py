"""Fetching from a hub: a server here that answers as Hugging Face's does."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redistil.storage import lineage
from tests.made import tiny
from tests.made.served import COMMIT, Web, serving

REPOSITORY = "someone/encoder"


@pytest.fixture
def hub(tmp_path) -> Iterator[Web]:
    """Serve a checkpoint as the repository above."""
    folder = tiny.checkpoint(tmp_path / "served")
    (folder / "made.json").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (folder / "modeling.py").write_text("print('code of others')\n")
    with serving({REPOSITORY: folder}, revision="v1") as web:
        yield web


def fetch(address: str, folder: Path, revision: str) -> subprocess.CompletedProcess[str]:
    """The library reads the address of its hub when it is imported: hence a process of its own."""
    source = json.dumps({"hub": REPOSITORY, "revision": revision})
    # jobs that need no hub set the process offline, and tests run some of them in this one
    here = {"HF_ENDPOINT": address, "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "0"}
    return subprocess.run(
        [sys.executable, "-m", "redistil", "fetch", folder / "mine", "--source", source],
        env=os.environ | here,
        capture_output=True,
        text=True,
    )


def test_a_repository_is_fetched_without_code(hub, tmp_path):
    address, asked = hub
    done = fetch(address, tmp_path, "v1")
    assert done.returncode == 0, done.stderr
    wanted = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert set(asked) == wanted, "and nothing else went over the wire"
    assert {path.name for path in (tmp_path / "mine").iterdir()} == wanted | {"made.json"}
    weights = (tmp_path / "served" / "model.safetensors").read_bytes()
    assert (tmp_path / "mine" / "model.safetensors").read_bytes() == weights
    (source,) = lineage.of(tmp_path / "mine").ancestors.values()
    assert source.name == REPOSITORY and source.settings == {"commit": COMMIT}


def test_a_missing_revision_is_refused(hub, tmp_path):
    done = fetch(hub[0], tmp_path, "v2")
    assert done.returncode == 2
    assert done.stderr.startswith(f"redistil: {REPOSITORY} at v2 cannot be reached")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "mine").exists()
