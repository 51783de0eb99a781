"""A checkpoint folder from the hub at a pinned revision, or from a local folder."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from redistil.errors import BadSource
from redistil.storage import lineage
from redistil.storage.aside import is_full
from redistil.storage.lineage import SIDECAR, Made, sha256
from redistil.storage.placed import PATTERNS, checkpoint_files
from redistil.storage.scratch import scratch

PLAIN = "plain"  # the form of files that transformers reads as they are


def fetch(source: Mapping[str, Any], out: Path, made: Made) -> None:
    """Fill the folder `out` with safetensors weights, configuration and tokenizer.

    source: {"hub": id, "revision": ...} or {"folder": path}; "lower_case": true forces the
    tokenizer to lower-case, for checkpoints whose configuration forgets to say so; "form": that of
    a re-ranker of others, with the settings of the form.
    Raises BadSource when it cannot be reached, has no safetensors weights, or a tokenizer that is
    missing or another model's; `out` is then as it was.
    """
    from redistil.learning.students import published

    folder = _folder(source, out)
    files = checkpoint_files(folder)
    weights = [path for path in files if path.suffix == ".safetensors"]
    if not weights:
        raise BadSource(
            f"{source.get('hub') or folder} has no *.safetensors weights (pickled ones are never "
            "loaded): convert them, or choose a revision that has them"
        )
    form = source.get("form", PLAIN)
    with scratch(out) as partial:
        _copy([path for path in files if path.parent == folder and path not in weights], partial)
        if form != PLAIN:
            _settle_config(form, partial, folder)
        if source.get("lower_case"):
            _force_lower_case(partial)
        try:
            published.settle_configuration(partial)
            _settle_tokenizer(partial)
            if form == PLAIN:
                _copy(weights, partial)
            else:
                _convert(source, folder, partial)
        except BadSource as error:  # the user knows the folder by another name
            raise BadSource(str(error).replace(str(partial), str(folder))) from None
        _replace(out, partial)
    version = _version(source, folder, files)
    lineage.record(made.reading(version), out)


def _settle_config(form: str, partial: Path, folder: Path) -> None:
    from redistil.stages.backbones import published

    published.settle_config(form, partial, folder)


def _convert(source: Mapping[str, Any], folder: Path, partial: Path) -> None:
    from redistil.stages.backbones import published

    published.convert(source, folder, partial)


def _folder(source: Mapping[str, Any], out: Path) -> Path:
    if not ("folder" in source or {"hub", "revision"} <= source.keys()):
        wanted = 'wanted {"hub": id, "revision": ...} or {"folder": path}'
        raise BadSource(f"--source: {wanted}, got {json.dumps(dict(source))}")
    folder = Path(source["folder"]) if "folder" in source else _snapshot(source, out)
    if not folder.is_dir():
        raise BadSource(f"{folder} is not a folder: put the checkpoint there, or check the path")
    return folder


def _version(source: Mapping[str, Any], folder: Path, files: Iterable[Path]) -> Made:
    """Return the record of a source: the commit of a repository, the bytes of a local folder."""
    if "hub" in source:
        return Made("checkpoint", str(source["hub"]), {"commit": folder.name})
    digests = {}
    for path in files:
        digests[path.relative_to(folder).as_posix()] = sha256(path)
    return Made("checkpoint", str(folder), {"sha256": digests})


def _copy(files: Iterable[Path], out: Path) -> None:
    for path in files:
        if path.name != SIDECAR:
            shutil.copyfile(path, out / path.name)


def _replace(out: Path, partial: Path) -> None:
    """Move the files of `partial` to `out`, where nothing of another checkpoint stays.

    Its record least of all. One old file of weights would be loaded in place of several new ones.
    """
    out.mkdir(exist_ok=True)
    for path in (out / SIDECAR, *checkpoint_files(out)):
        path.unlink(missing_ok=True)
    for path in sorted(partial.iterdir()):
        path.replace(out / path.name)


def _settle_tokenizer(folder: Path) -> None:
    """Leave as `tokenizer.json` what transformers makes of the tokenizer's files.

    There may be only a vocabulary or a sentencepiece model; and from a `tokenizer.json` of the
    families of BERT, RoBERTa and DeBERTa transformers takes the vocabulary alone. It does the
    rest as that family does. Token files are made from this file.
    """
    from transformers import AutoConfig

    from redistil.learning.students.checkpoints import check_vocabulary, load_tokenizer, usable

    tokenizer = load_tokenizer(folder)
    with usable(folder):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    check_vocabulary(tokenizer, config.vocab_size, folder)
    tokenizer.save_pretrained(folder)


def _snapshot(source: Mapping[str, Any], out: Path) -> Path:
    from httpx2 import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(
            snapshot_download(source["hub"], revision=source["revision"], allow_patterns=PATTERNS)
        )
    except (OSError, HTTPError, HFValidationError) as error:
        if is_full(error):
            raise
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        catalogue = "checkpoints" if "form" in source else "backbones"
        raise BadSource(
            f"{source['hub']} at {source['revision']} cannot be reached ({reason}). To put it in "
            f"place by hand, download the repository to a folder and write "
            f"`{{folder: path}}` in place of `hub` under {catalogue}.{out.name} in params.yaml"
        ) from None


def _force_lower_case(folder: Path) -> None:
    """Set `do_lower_case` in both places where tokenizers of BERT's kind look for it."""
    config = folder / "tokenizer_config.json"
    settings = json.loads(config.read_text()) if config.exists() else {}
    config.write_text(json.dumps(settings | {"do_lower_case": True}, indent=2) + "\n")
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
