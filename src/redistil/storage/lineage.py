"""The record of a file: the settings, code and inputs that made it, and its digest.

Every artefact carries one record. Its fingerprint covers the command, its settings, the code
behind it and the fingerprints of its inputs. So it names the whole chain that led to the file.
The records of all ancestors travel along. A reader of several files can see whether they belong
together. The report compares each ancestor with what its study now asks for.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from redistil.errors import BadTable, Stale
from redistil.storage import digests
from redistil.storage.aside import aside

KEY = b"redistil"  # where a Parquet or Arrow schema keeps the record
SIDECAR = "made.json"  # where a folder keeps it
IN_SCHEMA = frozenset({".parquet", ".arrow"})  # files that keep it in their schema

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
    ancestors: the records of everything upstream, by fingerprint, without their ancestors;
    files: the digests of the files in the folder of this record, no part of the fingerprint.
    """

    command: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    ancestors: Mapping[str, "Made"] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict, compare=False)

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
        more: dict[str, Any] = {"fingerprint": self.fingerprint, "ancestors": ancestors}
        if self.files:
            more["files"] = dict(self.files)
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
        plain = text if isinstance(text, str) else text.decode()
        is_edited = made.dumps() != plain.rstrip("\n")
        if is_edited or any(key != each.fingerprint for key, each in chain.items()):
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
    versions: dict[str, tuple[str, Made]] = {}
    chain: dict[str, Made] = {}
    for child in inputs:
        for fingerprint, made in child.chain().items():
            other, source = versions.setdefault(made.who, (fingerprint, child))
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
    Raises Damaged where a byte of `path`, or of a file in it, is not the one that was written;
    Stale if the record was edited, BadTable if the file cannot be read.
    """
    if path.suffix in IN_SCHEMA:
        return _of_table(path)
    folder = path if path.is_dir() else path.parent
    made = _of_folder(folder)
    if made is None:
        digests.check_if_sealed(path)
        return _outside(path)
    _check_files(made, folder, made.files if path == folder else [path.name])
    return made


def stated(path: Path) -> str:
    """Return the fingerprint that a table, or a record in a file, says it has; nothing is checked.

    "" where there is none. Raises BadTable if the table cannot be read.
    """
    text = _schema_record(path) if path.suffix in IN_SCHEMA else path.read_bytes()
    try:
        fields = json.loads(text or b"{}")
    except ValueError:
        return ""
    return str(fields.get("fingerprint", ""))


def record(made: Made, folder: Path) -> None:
    """Write the record of a folder that is complete, with the digests of the files in it.

    Hidden files have none there, nor those that carry their own.
    """
    sums: dict[str, str] = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        is_hidden = name.startswith(".") or "/." in name
        is_ours = file.is_file() and not is_hidden and name != SIDECAR
        if is_ours and not digests.is_sealed(file):
            sums[name] = digests.of(file)
    with aside(folder / SIDECAR) as partial:
        partial.write_text(replace(made, files=sums).dumps() + "\n", encoding="utf-8")


def checked(path: Path) -> Path:
    """Return the path of a file that is, to the bit, what its folder's record says it was.

    A folder without a record says nothing. Raises Damaged, for a record without its name too.
    """
    made = _of_folder(path.parent)
    if made is not None:
        if made.files and path.name not in made.files:
            raise digests.damaged(path.parent / SIDECAR)
        _check_files(made, path.parent, [path.name])
    return path


def checked_folder(folder: Path) -> Path:
    """Return a folder whose files are, to the bit, what its record says; Damaged if they are not.

    A folder without a record says nothing.
    """
    made = _of_folder(folder)
    if made is not None:
        _check_files(made, folder, made.files)
    return folder


def _check_files(made: Made, folder: Path, names: Iterable[str]) -> None:
    for name in names:
        if name in made.files:
            digests.check_against(folder / name, made.files[name])


def _of_folder(folder: Path) -> Made | None:
    sidecar = folder / SIDECAR
    if not sidecar.exists():
        return None
    return _loaded(sidecar.read_bytes(), sidecar)


def _of_table(path: Path) -> Made:
    """Return the record in a schema; a file that carries one carries its digest too."""
    digests.check_if_sealed(path)  # first: what is damaged may not even be readable
    text = _schema_record(path)
    if not text:
        return _outside(path)
    digests.check(path)
    return _loaded(text, path)


def _loaded(text: bytes, path: Path) -> Made:
    try:
        return Made.loads(text)
    except Stale as error:
        raise Stale(f"{path}: {error}") from None


def _schema_record(path: Path) -> bytes | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".arrow":
            schema = pa.ipc.open_file(pa.memory_map(str(path))).schema
        else:
            schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        again = digests.again(path)
        raise BadTable(f"{path} cannot be read ({_first_line(error)}): {again}") from None
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
        check_download(path)
        sums[path.name] = sha256(path)
    return Made(command="file", name=str(path), settings={"sha256": sums})


def check_download(path: Path) -> None:
    """Refuse, as Damaged, a published file that changed since it was checked."""
    record = downloaded(path)
    if record.exists():
        digests.check_against(path, digests.read_json(record)["xxh3"])


def downloaded(path: Path) -> Path:
    """Return where the record of a published file lies."""
    return path.with_name(f"{path.name}.json")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
