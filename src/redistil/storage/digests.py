"""Digests of files: a changed bit is seen before a byte of the file is used.

A table, a token file, a cost or a recipe carries the digest of its own bytes: XXH3 of the whole
file, but for the place of the digest itself. That place is in the file's footer, header or last
line, and is found without reading the rest. Files of a folder with a record have theirs there.
"""

import json
import mmap
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

from xxhash import xxh3_64

from redistil.errors import Damaged
from redistil.storage.aside import aside

KEY = "digest"  # where a schema, or a JSON object, keeps it
MARK = b"xxh3:"
BLANK = MARK + b"0" * 16  # holds the place while the rest is hashed
BLOCK = 1 << 20  # bytes read at a time
WORDS, IN_JSON = "digest of the lines above: ", f'"{KEY}": "'  # what goes before it in a text
TAIL = 64  # bytes at the end of a text that hold its digest
ENDS = (b"PAR1", b"ARROW1")  # of a table, of a token file; before it the length of the footer
LENGTH = 4  # bytes of that length


def of(path: Path) -> str:
    """Return the digest of a whole file, 16 hexadecimal digits."""
    hashed = xxh3_64()
    with path.open("rb", buffering=0) as stream:
        _feed(hashed, stream)
    return str(hashed.hexdigest())


def seal(path: Path) -> None:
    """Write the digest of a file over the `BLANK` that it holds."""
    place = _place(path)
    if place is None:
        raise ValueError(f"{path} keeps no place for its digest")
    digest = _without(path, place)
    with path.open("r+b") as stream:
        stream.seek(place)
        stream.write(digest)


def is_whole(path: Path) -> bool:
    """Whether a file is there, carries a digest, and its bytes are those that were written."""
    try:
        check(path)
    except (OSError, Damaged):
        return False
    return True


def is_sealed(path: Path) -> bool:
    """Whether a file carries a digest, right or wrong."""
    return _place(path) is not None


def check_if_sealed(path: Path) -> None:
    """Refuse, as Damaged, a file whose bytes are not those of the digest that it carries.

    A file from elsewhere carries none. A text says twice that it has one, in words and by the
    mark: no single change makes it one from elsewhere.
    """
    if path.is_file() and (is_sealed(path) or _speaks(path)):
        check(path)


def check(path: Path) -> None:
    """Refuse, as Damaged, a file whose bytes are not those of its digest, or that has none.

    A file that did not change since it was checked is not read again.
    """
    now = path.stat()
    _check(path, now.st_ino, now.st_size, now.st_mtime_ns)


def check_against(path: Path, digest: str) -> None:
    """Refuse, as Damaged, a file whose digest is not this one; or that is not there."""
    if not path.exists():
        raise Damaged(f"{path} is missing: {again(path)}")
    now = path.stat()
    if _of(path, now.st_ino, now.st_size, now.st_mtime_ns) != digest:
        raise damaged(path)


def damaged(path: Path) -> Damaged:
    """Return the error over a file whose bytes are not those that were written."""
    return Damaged(f"{path} is damaged, its bytes are not those that were written: {again(path)}")


def again(path: Path) -> str:
    """Return how a file is brought back."""
    return (
        f"bring it back (`dvc checkout --force`), or make it again (`snakemake -R {remade(path)}`)"
    )


def remade(path: Path) -> Path:
    """Return the file that a rule makes together with this one: the record of its folder, a run."""
    record = path.parent / "made.json"
    if record.exists():
        return record
    return path.with_name(path.name.replace(".cost.json", ".parquet"))


# --- texts ----------------------------------------------------------------------------------------


def write_json(value: Mapping[str, Any], path: Path) -> None:
    """Write an object as JSON with its digest; the file appears complete or not at all."""
    with aside(path) as partial:
        put_json(value, partial)


def put_json(value: Mapping[str, Any], path: Path) -> None:
    """Write the same, where the caller sees to it that the file appears complete."""
    text = json.dumps({**value, KEY: BLANK.decode()}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    seal(path)


def read_json(path: Path) -> dict[str, Any]:
    """Return what `write_json` wrote; Damaged if it is anything else."""
    check(path)
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    del value[KEY]
    return value


def put_text(text: str, path: Path, comment: tuple[str, str] = ("# ", "")) -> None:
    """Write lines with their digest in a comment at the end: of YAML, unless said otherwise."""
    before, after = comment
    path.write_text(f"{text}{before}{WORDS}{BLANK.decode()}{after}\n", encoding="utf-8")
    seal(path)


# --- bytes ----------------------------------------------------------------------------------------


@cache
def _check(path: Path, *version: int) -> None:
    place = _place(path)
    if place is None:
        raise Damaged(f"{path} carries no digest of its bytes: {again(path)}")
    with path.open("rb") as stream:
        stream.seek(place)
        written = stream.read(len(BLANK))
    if _without(path, place) != written:
        raise damaged(path)


@cache
def _of(path: Path, *version: int) -> str:
    return of(path)


def _speaks(path: Path) -> bool:
    """Whether the last line of a text says that a digest follows."""
    with path.open("rb") as stream:
        stream.seek(-min(TAIL, path.stat().st_size), os.SEEK_END)
        last = stream.read()
    return WORDS.encode() in last or IN_JSON.encode() in last


def _place(path: Path) -> int | None:
    """Return where in a file its digest lies, None where it has none."""
    size = path.stat().st_size
    if not size:
        return None
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.rfind(MARK, max(size - _tail(data), 0))
        if start < 0:
            start = data.find(MARK, 0, _head(data))
    return start if 0 <= start <= size - len(BLANK) else None


def _tail(data: mmap.mmap) -> int:
    """Return how many bytes at the end of a file hold its digest: a footer, or a line."""
    for end in ENDS:
        fixed = LENGTH + len(end)
        if data[-len(end) :] == end and len(data) > fixed:
            length = data[-fixed : -len(end)]
            return int.from_bytes(length, "little") + fixed
    return TAIL


def _head(data: mmap.mmap) -> int:
    """Return how many bytes the header of a safetensors file has; 0 of any other file."""
    length = int.from_bytes(data[:8], "little")
    return 8 + length if data[8:9] == b"{" else 0


def _without(path: Path, place: int) -> bytes:
    """Return the mark and digest of a file but for the place of the digest itself."""
    hashed = xxh3_64()
    with path.open("rb", buffering=0) as stream:
        _feed(hashed, stream, place)
        stream.seek(place + len(BLANK))
        _feed(hashed, stream)
    return MARK + hashed.hexdigest().encode()


def _feed(hashed: xxh3_64, stream: IO[bytes], most: int | None = None) -> None:
    """Hash the next `most` bytes of a stream, or all the rest."""
    left = most
    while left is None or left > 0:
        block = stream.read(BLOCK if left is None else min(BLOCK, left))
        if not block:
            return
        hashed.update(block)
        left = None if left is None else left - len(block)
