"""Fetching from a hub: a server here that answers as Hugging Face's does."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from redistil import lineage
from tests.unit import tiny

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "someone/encoder"


@pytest.fixture
def hub(tmp_path) -> Iterator[tuple[str, list[str]]]:
    """Serve a checkpoint as the repository above; give the address and the files asked for."""
    folder, asked = tiny.checkpoint(tmp_path / "served"), []
    (folder / "made.json").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (folder / "modeling.py").write_text("print('code of others')\n")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = self.path.partition("?")[0]
            name = path.removeprefix(f"/{REPOSITORY}/resolve/{COMMIT}/")
            if path == f"/api/models/{REPOSITORY}/revision/v1":
                siblings = [{"rfilename": file} for file in files]
                self.send({"_id": "1", "id": REPOSITORY, "sha": COMMIT, "siblings": siblings})
            elif path == f"/api/models/{REPOSITORY}/tree/{COMMIT}":
                self.send([self.entry(file) for file in files])
            elif name in files:
                asked.append(name)
                self.send_response(200)
                self.send_header("ETag", f'"{hashlib.sha1(files[name]).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.body(files[name])
            else:
                self.send_response(404)
                self.body(b"")

        def entry(self, file: str) -> dict[str, Any]:
            oid = hashlib.sha1(files[file]).hexdigest()
            return {"type": "file", "path": file, "size": len(files[file]), "oid": oid}

        def send(self, value: Any) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.body(json.dumps(value).encode())

        def body(self, content: bytes) -> None:
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


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


def test_a_repository_is_fetched_at_its_commit_without_pickles_or_code(hub, tmp_path):
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


def test_a_revision_that_is_not_there_is_refused_in_one_sentence(hub, tmp_path):
    done = fetch(hub[0], tmp_path, "v2")
    assert done.returncode == 2
    assert done.stderr.startswith(f"redistil: {REPOSITORY} at v2 cannot be reached")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "mine").exists()
