"""Downloads: published files, by URL and checksum.

A file gets its name once it is checked. What a broken connection leaves is kept beside it as
`<name>.part`, and the next run goes on from there.
"""

import hashlib
import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tqdm import tqdm

from redistil.errors import BadSettings, BadSource
from redistil.storage.tables import aside

BLOCK = 1 << 20  # bytes read at a time
TIMEOUT = 60  # seconds without a byte before the connection counts as broken
DIGITS = {"md5": 32, "sha256": 64}  # hexadecimal, of the sums a publisher may give


def download(
    out: Path, checked: Path, url: str, sums: Mapping[str, str], size: int | None = None
) -> None:
    """Leave at `out` the file that `url` names, checked against `sums` and its size in bytes.

    sums: hexadecimal digests by algorithm, md5 or sha256. A file that lies there already is
    checked the same way and kept, so that what cannot be fetched here can be put in place by hand.
    checked: where it is recorded that the file was checked, and against what. Raises BadSource when
    the file cannot be had, or is another one.
    """
    _refuse_settings(url, sums)
    checked.unlink(missing_ok=True)
    _have(out, url, sums, size)
    record = {"url": url, **sums, "bytes": out.stat().st_size}
    with aside(checked) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _have(out: Path, url: str, sums: Mapping[str, str], size: int | None) -> None:
    """Leave the checked file at `out`: the one that is there, or else the one that `url` gives."""
    if out.exists():
        wrong = _difference(out, sums, size)
        if wrong:
            raise BadSource(f"{out} is not the file of {url}: {wrong}: put the right one there")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.part")
    if size is None or not part.exists() or part.stat().st_size != size:
        _fetch(part, url, out)
    wrong = _difference(part, sums, size)
    if wrong:
        part.unlink()
        raise BadSource(
            f"{url} did not give the declared file: {wrong}: it is removed. Try again; if it stays "
            f"so, the publisher has changed it, or the declared values are wrong"
        )
    os.replace(part, out)


def _refuse_settings(url: str, sums: Mapping[str, str]) -> None:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise BadSettings(f"wanted a URL of http or https, got {url!r}")
    if not sums:
        raise BadSettings(f"{url}: wanted its md5 or sha256: nothing is taken unchecked")
    for name, digest in sums.items():
        if not re.fullmatch(f"[0-9a-fA-F]{{{DIGITS[name]}}}", digest):
            raise BadSettings(
                f"{url}: wanted {name} as {DIGITS[name]} hexadecimal digits, got {digest!r}"
            )


def _difference(file: Path, sums: Mapping[str, str], size: int | None) -> str:
    """Return how a file differs from what was declared, or ''."""
    found = file.stat().st_size
    if size is not None and found != size:
        return f"{size} bytes declared, {found} found"
    for name, declared in sums.items():
        digest = _digest(file, name)
        if digest != declared.lower():
            return f"{name} {declared.lower()} declared, {digest} found"
    return ""


def _digest(file: Path, name: str) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(
            stream, lambda: hashlib.new(name, usedforsecurity=False)
        ).hexdigest()


def _fetch(part: Path, url: str, out: Path) -> None:
    """Bring `part` to the whole of what `url` names, from where it ends if the server can."""
    have = part.stat().st_size if part.exists() else 0
    with _answer(url, have, out) as answer:
        begin = have if answer.status == 206 else 0
        length = answer.headers.get("Content-Length")
        total = begin + int(length) if length else None
        with (
            part.open("ab" if begin else "wb") as stream,
            tqdm(total=total, initial=begin, unit="B", unit_scale=True, desc=out.name) as bar,
        ):
            for block in _blocks(answer, url, out):
                stream.write(block)
                bar.update(len(block))
    end = part.stat().st_size
    if total is not None and end < total:
        raise _failed(url, out, f"the connection ended after {end} of {total} bytes")


def _answer(url: str, have: int, out: Path) -> Any:
    """Ask for the file beyond its first `have` bytes; 206 means that the server sends just that.

    A server that refuses the range (416), or sends another one, is asked for the whole.
    """
    headers = {"User-Agent": "redistil", "Accept-Encoding": "identity"}
    span = {"Range": f"bytes={have}-"} if have else {}
    try:
        answer = _opener().open(urllib.request.Request(url, headers=headers | span), None, TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if have and error.code == 416:
            return _answer(url, 0, out)
        raise _failed(url, out, f"the server answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _failed(url, out, str(getattr(error, "reason", error)) or repr(error)) from None
    if answer.status == 206 and not _span(answer).startswith(f"bytes {have}-"):
        answer.close()
        return _answer(url, 0, out)
    return answer


def _span(answer: Any) -> str:
    return str(answer.headers.get("Content-Range", ""))


def _opener() -> urllib.request.OpenerDirector:
    """Return what opens http and https alone, also where a server redirects to."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _blocks(answer: Any, url: str, out: Path) -> Iterator[bytes]:
    try:
        while block := answer.read(BLOCK):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise _failed(url, out, str(error) or repr(error)) from None


def _failed(url: str, out: Path, reason: str) -> BadSource:
    return BadSource(
        f"{url} could not be fetched ({reason}): try again, what is here already is kept; or put "
        f"the file in place by hand as {out}, where it is checked the same way"
    )
