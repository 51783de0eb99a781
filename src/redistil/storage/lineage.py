"""The record of a file: the settings, code and inputs that made it.

Every artefact carries one record. Its fingerprint covers the command, its settings, the code
behind it and the fingerprints of its inputs. So it names the whole chain that led to the file.
The records of all ancestors travel along. A reader of several files can see whether they belong
together, and the report compares each ancestor with what its study now asks for.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from redistil.errors import BadTable, Stale

KEY = b"redistil"  # where a Parquet or Arrow schema keeps the record
SIDECAR = "made.json"  # where a folder keeps it

# records of what this pipeline reads but did not make: a plain file, an installed package, a
# collection of ir_datasets, a checkpoint of the hub
OUTSIDE = frozenset({"file", "package", "irds", "checkpoint"})


def canonical(value: Any) -> str:
    """Return `value` as JSON that is equal for equal settings (2 and 2.0 are equal)."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of `canonical(value)`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        plain = {}
        for key, item in value.items():
            if item is not None:
                plain[str(key)] = _plain(item)
        return plain
    if isinstance(value, (list, tuple)):
        return list(map(_plain, value))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@dataclass(frozen=True)
class Made:
    """The record of one artefact.

    command: the `redistil` command that wrote it; name: what its study calls it;
    settings: the options that decide its content; code: fingerprint of the source behind it;
    inputs: fingerprints of what was read, by "command name";
    ancestors: the records of everything upstream, by fingerprint, without their ancestors.
    """

    command: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    ancestors: Mapping[str, "Made"] = field(default_factory=dict)

    @property
    def who(self) -> str:
        """The command and name, which no two artefacts of a study share."""
        return f"{self.command} {self.name}"

    @property
    def fingerprint(self) -> str:
        return digest([self.command, self.name, self.settings, self.code, self.inputs])

    def record(self) -> dict[str, Any]:
        """Return the record without ancestors, as plain JSON values."""
        return {
            "command": self.command,
            "name": self.name,
            "settings": _plain(self.settings),
            "code": self.code,
            "inputs": dict(self.inputs),
        }

    def dumps(self) -> str:
        """Return the record and its ancestors as JSON: equal text for equal records."""
        ancestors = {}
        for fingerprint, ancestor in self.ancestors.items():
            ancestors[fingerprint] = ancestor.record()
        more = {"fingerprint": self.fingerprint, "ancestors": ancestors}
        return canonical(self.record() | more)

    @staticmethod
    def loads(text: str | bytes) -> "Made":
        """Return the record that `dumps` wrote; Stale if it was edited since."""
        ancestors: dict[str, Made] = {}
        try:
            fields = json.loads(text)
            for key, record in fields.pop("ancestors").items():
                ancestors[key] = Made(**record)
            fingerprint = fields.pop("fingerprint")
            made = Made(**fields, ancestors=ancestors)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise Stale(f"not a record of what made this: {str(text)[:60]!r}: rebuild it") from None
        chain = {fingerprint: made, **ancestors}
        if any(key != each.fingerprint for key, each in chain.items()):
            raise Stale(f"the record of {made.who} does not match its own fingerprint: rebuild it")
        return made

    def reading(self, *more: "Made") -> "Made":
        """Return the record with further inputs, for what is not named on the command line."""
        inputs = dict(self.inputs) | _fingerprints(more)
        ancestors = dict(self.ancestors) | together(more)
        return replace(self, inputs=inputs, ancestors=ancestors)

    def chain(self) -> dict[str, "Made"]:
        """Return this record and its ancestors' by fingerprint."""
        return {self.fingerprint: self, **self.ancestors}


def make(
    command: str, name: str, settings: Mapping[str, Any], code: str, inputs: Iterable[Made]
) -> Made:
    """Return the record of a file about to be made from `inputs`.

    Raises Stale when two inputs descend from different versions of one artefact.
    """
    inputs = list(inputs)
    return Made(command, name, _plain(settings), code, _fingerprints(inputs), together(inputs))


def _fingerprints(inputs: Iterable[Made]) -> dict[str, str]:
    return {made.who: made.fingerprint for made in inputs}


def together(inputs: Iterable[Made]) -> dict[str, Made]:
    """Return everything upstream of `inputs`, by fingerprint, if it is one consistent chain."""
    seen: dict[str, tuple[str, Made]] = {}
    chain: dict[str, Made] = {}
    for child in inputs:
        for fingerprint, made in child.chain().items():
            other, source = seen.setdefault(made.who, (fingerprint, child))
            if other != fingerprint:
                raise Stale(
                    f"{child.who} and {source.who} come from different versions of {made.who} "
                    f"({fingerprint} and {other}): rebuild the older one (`snakemake -R "
                    f"{made.command.replace('-', '_')}` makes everything after it anew)"
                )
            chain[fingerprint] = made
    return chain


def of(path: Path) -> Made:
    """Return the record that `path` carries.

    A Parquet or Arrow file carries it in its schema, a checkpoint folder (or a file in it) in
    `made.json`. A file from elsewhere stands for itself: its SHA-256 is its record.
    Raises Stale if the record was edited, BadTable if the file cannot be read.
    """
    in_schema = path.suffix in {".parquet", ".arrow"}
    text = _schema_record(path) if in_schema else _folder_record(path)
    if not text:
        return _outside(path)
    try:
        return Made.loads(text)
    except Stale as error:
        raise Stale(f"{path}: {error}") from None


def _folder_record(path: Path) -> bytes | None:
    folder = path if path.is_dir() else path.parent
    sidecar = folder / SIDECAR
    return sidecar.read_bytes() if sidecar.exists() else None


def _schema_record(path: Path) -> bytes | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".arrow":
            schema = pa.ipc.open_file(pa.memory_map(str(path))).schema
        else:
            schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise BadTable(f"{path} cannot be read ({_first_line(error)}): make it again") from None
    record: bytes | None = (schema.metadata or {}).get(KEY)
    return record


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _outside(path: Path) -> Made:
    sums: dict[str, str] = {}
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                sums[str(file.relative_to(path))] = sha256(file)
    else:
        sums[path.name] = sha256(path)
    return Made(command="file", name=str(path), settings={"sha256": sums})


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
