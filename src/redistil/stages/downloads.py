"""Downloads: published files, by URL and checksum.

A file gets its name once it is checked. A broken connection leaves its part as `<name>.part`,
and the next run goes on from there.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from httpx2 import Client, HTTPError, InvalidURL, Response, codes
from tqdm import tqdm

from redistil.errors import BadSettings, BadSource
from redistil.storage import digests
from redistil.storage.aside import room_for

TIMEOUT = 60  # seconds without a byte before the connection counts as broken
DIGITS = {"md5": 32, "sha256": 64}  # hexadecimal digits of a digest


def download(
    out: Path, checked: Path, url: str | None, sums: Mapping[str, str], size: int | None = None
) -> None:
    """Leave at `out` the file that `url` names, checked against `sums` and its size in bytes.

    Without `url` the file must be there.

    sums: hexadecimal digests by algorithm, md5 or sha256. checked: the record of the check is
    written there. A file that lies at `out` already is checked the same way and kept: it may have
    been put in place by hand. Raises BadSource when the file cannot be had, or is another one.
    """
    _refuse_settings(url, sums)
    checked.unlink(missing_ok=True)
    if out.exists():
        wrong = _difference(out, sums, size)
        if wrong:
            declared = f"of {url}" if url else "declared"
            raise BadSource(f"{out} is not the file {declared}: {wrong}: put the right one there")
    elif url is None:
        raise BadSource(f"{out} is not there, and has no `url`: put it there, or declare one")
    else:
        _fetch_checked(out, url, sums, size)
    measured = {"bytes": out.stat().st_size, "xxh3": digests.of(out)}
    digests.write_json({"url": url, **sums, **measured}, checked)


def _fetch_checked(out: Path, url: str, sums: Mapping[str, str], size: int | None) -> None:
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


def _refuse_settings(url: str | None, sums: Mapping[str, str]) -> None:
    address = urlsplit(url or "https://by-hand")
    if address.scheme not in ("http", "https") or not address.hostname:
        raise BadSettings(f"wanted a URL of http or https, got {url!r}")
    file = url or "a file put there by hand"
    if not sums:
        raise BadSettings(f"{file}: wanted its md5 or sha256: no file is used unchecked")
    for name, digest in sums.items():
        if not re.fullmatch(f"[0-9a-fA-F]{{{DIGITS[name]}}}", digest):
            raise BadSettings(
                f"{file}: wanted {name} as {DIGITS[name]} hexadecimal digits, got {digest!r}"
            )


def _difference(file: Path, sums: Mapping[str, str], size: int | None) -> str:
    """Return how a file differs from its declared size and sums, or ''."""
    actual = file.stat().st_size
    if size is not None and actual != size:
        return f"{size} bytes declared, {actual} found"
    for name, declared in sums.items():
        digest = _digest(file, name)
        if digest != declared.lower():
            return f"{name} {declared.lower()} declared, {digest} found"
    return ""


def _digest(file: Path, name: str) -> str:
    algorithm = hashlib.new(name, usedforsecurity=False)
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: algorithm).hexdigest()


def _fetch(part: Path, url: str, out: Path) -> None:
    """Bring `part` to the whole file at `url`, from where it ends if the server can do so."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "redistil", "Accept-Encoding": "identity"}
    try:
        with (
            Client(headers=headers, timeout=TIMEOUT, follow_redirects=True) as client,
            closing(_answer(client, url, have)) as answer,
        ):
            if not answer.is_success:
                reason = f"the server answers {answer.status_code} {answer.reason_phrase}"
                raise _failed(url, out, reason)
            _write(part, answer, have if answer.status_code == codes.PARTIAL_CONTENT else 0, out)
    except (HTTPError, InvalidURL) as error:
        raise _failed(url, out, str(error) or repr(error)) from None


def _answer(client: Client, url: str, have: int) -> Response:
    """Return the answer to a request for the file beyond its first `have` bytes.

    Status 206 means that the server sends just that. A server that refuses the range (416), or
    sends another one, is asked for the whole file.
    """
    headers = {"Range": f"bytes={have}-"} if have else {}
    answer = client.send(client.build_request("GET", url, headers=headers), stream=True)
    if have and _is_other_range(answer, have):
        answer.close()
        return _answer(client, url, 0)
    return answer


def _is_other_range(answer: Response, have: int) -> bool:
    if answer.status_code == codes.PARTIAL_CONTENT:
        return not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    return answer.status_code == codes.RANGE_NOT_SATISFIABLE


def _write(part: Path, answer: Response, begin: int, out: Path) -> None:
    """Write the body of an answer to `part` from byte `begin` on, with a progress bar."""
    length = answer.headers.get("Content-Length")
    total = begin + int(length) if length else None
    with (
        room_for(out),
        part.open("ab" if begin else "wb") as stream,
        tqdm(total=total, initial=begin, unit="B", unit_scale=True, desc=out.name) as bar,
    ):
        for block in answer.iter_raw():
            stream.write(block)
            bar.update(len(block))


def _failed(url: str, out: Path, reason: str) -> BadSource:
    return BadSource(
        f"{url} could not be fetched ({reason}): try again, the part that is here is kept; or put "
        f"the file in place by hand as {out}, where it is checked the same way"
    )
