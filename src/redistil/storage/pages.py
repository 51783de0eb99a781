"""The record of a page: in a comment at its end, compressed, as letters that HTML passes over."""

import re
from base64 import b64decode, b64encode
from pathlib import Path
from zlib import compress, decompress

from redistil.errors import Stale
from redistil.storage import digests
from redistil.storage.lineage import Made

_COMMENT = re.compile(rb"<!-- record: ([A-Za-z0-9+/=]+) -->\s*$")


def comment(made: Made) -> str:
    """Return the line of a page that holds its record."""
    packed = b64encode(compress(made.dumps().encode(), 9)).decode("ascii")
    return f"<!-- record: {packed} -->\n"


def of(path: Path) -> Made | None:
    """Return the record that a page holds; None where it holds none.

    Raises Damaged where a byte is not the one that was written, Stale if the record was edited.
    """
    digests.check_if_sealed(path)
    head = path.read_bytes().rpartition(b"<!-- digest")[0]
    match = _COMMENT.search(head)
    if match is None:
        return None
    try:
        return Made.loads(decompress(b64decode(match[1])))
    except Stale as error:
        raise Stale(f"{path}: {error}") from None
