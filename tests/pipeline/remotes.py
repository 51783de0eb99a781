"""Places that DVC pushes to: a folder, and a bucket of a server here that speaks S3 (moto)."""

import hashlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from benchmarks.environments import OUT, environment
from tests.pipeline.conftest import House

BUCKET = "shared"
DVC = ("python", "-m", "dvc")


class Folder(NamedTuple):
    """A folder that everyone sees."""

    path: Path

    def join(self, house: House) -> House:
        """Make it the store of a house; return the house with what it takes to reach it."""
        house.run(*DVC, "remote", "add", "--force", "--local", "--default", "store", str(self.path))
        return house

    def sums(self) -> set[str]:
        """Return the MD5 sums of the files that lie there."""
        return {"".join(path.parts[-2:]) for path in self.path.glob("files/md5/??/*")}


class Bucket(NamedTuple):
    """A bucket at an address; python: of the environment whose DVC speaks S3."""

    address: str
    python: Path

    def join(self, house: House) -> House:
        path = f"{self.python.parent}{os.pathsep}{house.environment()['PATH']}"
        house = House(house.root, {"PATH": path})
        url = f"s3://{BUCKET}/results"
        house.run(*DVC, "remote", "add", "--force", "--local", "--default", "store", url)
        known = {"endpointurl": self.address, "access_key_id": "any", "secret_access_key": "any"}
        for key, value in known.items():
            house.run(*DVC, "remote", "modify", "--local", "store", key, value)
        return house

    def sums(self) -> set[str]:
        with urlopen(f"{self.address}/{BUCKET}?list-type=2&max-keys=10000") as answer:
            said = answer.read().decode()
        assert "<IsTruncated>true" not in said
        keys = [part.partition("</Key>")[0] for part in said.split("<Key>")[1:]]
        return {"".join(key.split("/")[-2:]) for key in keys}


@contextmanager
def folder(place: Path) -> Iterator[Folder]:
    """Yield an empty folder."""
    yield Folder(place / "remote")


@contextmanager
def bucket(place: Path) -> Iterator[Bucket]:
    """Serve an empty bucket; the test is skipped where its server cannot be installed."""
    try:
        python = environment("s3", OUT / "environments", "--no-deps")
    except RuntimeError as error:
        pytest.skip(f"NOT TRIED WITH S3: {error}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(python), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        _make(f"{address}/{BUCKET}")
        yield Bucket(address, python)
    finally:
        server.terminate()
        server.wait()


def _make(url: str) -> None:
    """Make a bucket as soon as its server answers."""
    for _ in range(300):
        try:
            urlopen(Request(url, method="PUT")).close()
            return
        except URLError:
            time.sleep(0.2)
    raise TimeoutError(f"no server at {url}")


def break_off(house: House, store: Folder | Bucket, after: int) -> None:
    """Begin to push, and kill the push when some more files than `after` have arrived."""
    push = subprocess.Popen(
        [*DVC, "push", "--jobs", "1"],
        cwd=house.root,
        env=house.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while len(store.sums()) <= after and push.poll() is None:
        time.sleep(0.01)
    assert push.poll() is None, "the push ended before it could be broken off"
    os.killpg(push.pid, signal.SIGKILL)
    push.wait()


def texts(house: House, corpus: str) -> dict[str, str]:
    """Return the MD5 sums of files with texts of a corpus, or of the dataset of its name."""
    sums: dict[str, str] = {}
    for place in ("corpora/*", "tokens/*/*"):
        for path in sorted((house.root / "data").glob(f"{place}/{corpus}.*")):
            if path.parent.name in ("passages", "queries"):
                name = str(path.relative_to(house.root))
                sums[name] = hashlib.md5(path.read_bytes()).hexdigest()
    assert sums
    return sums
