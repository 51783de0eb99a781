"""A checkpoint folder from the hub at a pinned revision, or from a local folder."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redistil.errors import BadSource
from redistil.lineage import SIDECAR, Made

# never *.bin, *.pt: a pickle is code
PATTERNS = ["*.json", "*.txt", "*.model", "*.safetensors"]


def fetch(source: Mapping[str, Any], out: Path, made: Made) -> None:
    """Fill the folder `out` with safetensors weights, configuration and tokenizer.

    source: {"hub": id, "revision": ...} or {"folder": path}; "lower_case": true forces the
    tokenizer to lower-case, for checkpoints whose configuration forgets to say so.
    Raises BadSource when it cannot be reached or has no safetensors weights.
    """
    folder = Path(source["folder"]) if "folder" in source else _snapshot(source, out)
    if not folder.is_dir():
        raise BadSource(f"{folder} is not a folder: put the checkpoint there, or check the path")
    files = sorted(path for pattern in PATTERNS for path in folder.glob(pattern))
    if not any(path.suffix == ".safetensors" for path in files):
        raise BadSource(
            f"{source.get('hub') or folder} has no *.safetensors weights (pickled ones are never "
            "loaded): convert them, or choose a revision that has them"
        )
    out.mkdir(parents=True, exist_ok=True)
    for path in files:
        shutil.copyfile(path, out / path.name)
    if source.get("lower_case"):
        _force_lower_case(out)
    _convert_tokenizer(out)
    commit = folder.name if "hub" in source else ""
    version = Made("checkpoint", str(source.get("hub") or folder), {"commit": commit})
    (out / SIDECAR).write_text(made.reading(version).dumps() + "\n", encoding="utf-8")


def _convert_tokenizer(folder: Path) -> None:
    """Leave `tokenizer.json` where there is only a vocabulary or a sentencepiece model."""
    if not (folder / "tokenizer.json").exists():
        from redistil.students.cat import load_tokenizer

        load_tokenizer(folder).save_pretrained(folder)


def _snapshot(source: Mapping[str, Any], out: Path) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(source["hub"], revision=source["revision"], allow_patterns=PATTERNS)
        )
    except (OSError, LocalEntryNotFoundError, HfHubHTTPError) as error:
        reason = str(error).splitlines()[0]
        raise BadSource(
            f"{source['hub']} at {source['revision']} cannot be reached ({reason}). To put it in "
            f"place by hand, download the repository to a folder and write "
            f"`{{folder: path}}` in place of `hub` under backbones.{out.name} in params.yaml"
        ) from None


def _force_lower_case(folder: Path) -> None:
    """Say `do_lower_case` in both places where tokenizers of BERT's kind look for it."""
    config = folder / "tokenizer_config.json"
    said = json.loads(config.read_text()) if config.exists() else {}
    config.write_text(json.dumps(said | {"do_lower_case": True}, indent=2) + "\n")
    tokenizer = folder / "tokenizer.json"
    if tokenizer.exists():
        fast = json.loads(tokenizer.read_text())
        fast["normalizer"] = _lower_casing(fast.get("normalizer"))
        tokenizer.write_text(json.dumps(fast, ensure_ascii=False))


def _lower_casing(normalizer: dict[str, Any] | None) -> dict[str, Any]:
    """Return a normalizer of a tokenizer.json that lower-cases before all else it does."""
    if normalizer and normalizer["type"] == "BertNormalizer":
        return normalizer | {"lowercase": True}
    first: dict[str, Any] = {"type": "Lowercase"}
    return {"type": "Sequence", "normalizers": [first, normalizer]} if normalizer else first
