"""A fetch over what an earlier one left, and a hub that cannot be reached in ways of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx2
import pytest
import torch
from transformers import AutoModel

from redistil.errors import BadSource
from redistil.learning.students.checkpoints import load_network
from redistil.stages import backbones
from redistil.storage import lineage
from redistil.storage.lineage import SIDECAR
from tests.made import tiny


@pytest.fixture
def sharded(tmp_path):
    """A checkpoint whose weights lie in several files, with values of its own."""
    folder = tiny.checkpoint(tmp_path / "sharded")
    model = AutoModel.from_pretrained(folder)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    assert len([*folder.glob("*.safetensors")]) > 1
    tiny.record(folder, "build", folder.name)
    return folder


def fetch(folder, out, name="it"):
    backbones.fetch({"folder": str(folder)}, out, lineage.Made("fetch", name))
    return out


def weights(folder):
    return load_network(AutoModel, folder).state_dict()


def same(some, others):
    return all(torch.equal(some[name], others[name]) for name in some)


@pytest.mark.parametrize("sharded_first", [False, True])
def test_of_another_checkpoint_nothing_stays(sharded, tmp_path, sharded_first):
    whole = tiny.checkpoint(tmp_path / "whole")
    first, second = (sharded, whole) if sharded_first else (whole, sharded)
    (first / "added_tokens.json").write_text("{}")
    out = fetch(second, fetch(first, tmp_path / "out"))
    assert same(weights(out), weights(second)) and not same(weights(out), weights(first))
    assert {path.name for path in out.iterdir()} == {path.name for path in second.iterdir()}
    (source,) = lineage.of(out).ancestors.values()
    assert source.name == str(second)


def test_a_refused_fetch_leaves_the_folder(sharded, tmp_path):
    out = fetch(tiny.checkpoint(tmp_path / "whole"), tmp_path / "out")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (sharded / "tokenizer.json").unlink()
    with pytest.raises(BadSource, match="is not a usable checkpoint"):
        fetch(sharded, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_killed_fetch_leaves_no_record(sharded, tmp_path, monkeypatch):
    out = fetch(tiny.checkpoint(tmp_path / "whole"), tmp_path / "out")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        fetch(sharded, out)
    assert not (out / SIDECAR).exists()


# --- a hub out of reach -----------------------------------------------------------------------

HUB = {"hub": "someone/encoder", "revision": "main"}
BY_HAND = "`{folder: path}` in place of `hub` under backbones.mine in params.yaml"


@contextmanager
def refusing_proxy() -> Iterator[str]:
    """A proxy that lets nobody out."""

    class Server(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.send_error(403)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_refusing_proxy_is_one_sentence(tmp_path):
    with refusing_proxy() as proxy:
        here = {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0", "NO_PROXY": ""}
        here |= {"HF_ENDPOINT": "https://hub.invalid", "HTTPS_PROXY": proxy, "no_proxy": ""}
        done = subprocess.run(
            [sys.executable, "-m", "redistil", "fetch", tmp_path / "mine"]
            + ["--source", json.dumps(HUB)],
            env={k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")} | here,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("redistil: someone/encoder at main cannot be reached (403")
    assert BY_HAND in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("error", [httpx2.ReadError(""), httpx2.DecodingError("gone"), OSError()])
def test_an_error_of_the_transport_is_one_of_the_hub(tmp_path, monkeypatch, error):
    def torn(*_, **__):
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", torn)
    with pytest.raises(BadSource) as caught:
        backbones.fetch(HUB, tmp_path / "mine", lineage.Made("fetch", "mine"))
    reason = str(error) or repr(error)
    assert f"cannot be reached ({reason})" in str(caught.value) and BY_HAND in str(caught.value)
