"""The fingerprint of the code behind a command: formulas and constants, not words.

It covers the command's function and every definition of this package that it reaches by name.
These are no part of it: docstrings, comments, messages, help texts, log lines, units of progress
bars and places of modules.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from redistil.errors import BadSettings
from redistil.storage.wordless import ROOT, cleaned, is_docstring

PACKAGE = Path(__file__).parents[1]

# modules that no byte of a result comes from: errors, records, and what work cost and on what
TOLD = frozenset(
    {
        "redistil.cli.commands",
        "redistil.errors",
        "redistil.study.reading",
        "redistil.storage.aside",
        "redistil.storage.code",
        "redistil.storage.digests",
        "redistil.storage.wordless",
        "redistil.storage.lineage",
        "redistil.machine.costs",
        "redistil.machine.energy",
        "redistil.machine.hardware",
        "redistil.machine.stopping",
    }
)


Chosen = Mapping[str, str]  # of a registry, by its name: the one entry that is used


@dataclass(frozen=True)
class Definition:
    """One name at the top of one module."""

    module: str
    name: str


@dataclass
class Module:
    """The syntax of one module, name by name.

    definitions: statements that give a name its value; imports: what a name stands for;
    always: statements that run whenever the module is imported.
    """

    name: str
    folder: Path
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, "Import"] = field(default_factory=dict)
    always: list[ast.stmt] = field(default_factory=list)


@dataclass(frozen=True)
class Import:
    """Meaning of an imported name: `name` of `module`, or the module itself."""

    module: str
    name: str | None
    spelled: str


def fingerprint(module: str, function: str, chosen: Chosen | None = None) -> str:
    """Return 16 hexadecimal digits for the code that `function` of `module` reaches.

    chosen: of a registry (a dict at the top of a module) the one key that is used, empty where
    none is; what the other keys stand for is not reached. Raises BadSettings where there is no such
    function.
    """
    pairs = tuple(sorted((chosen or {}).items()))
    return _fingerprint(PACKAGE, module, function, pairs)


@cache
def _fingerprint(
    package: Path, module: str, function: str, chosen: tuple[tuple[str, str], ...]
) -> str:
    reader = _Reader(package, dict(chosen))
    texts = reader.reach(Definition(module, function))
    whole = "\n".join(sorted(texts))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


@cache
def _module(package: Path, name: str) -> Module | None:
    """Return a module of the package, or None where there is none of this name."""
    below = package.joinpath(*name.split(".")[1:])
    file = below / "__init__.py" if below.is_dir() else below.with_suffix(".py")
    if name.split(".")[0] != ROOT or not file.exists():
        return None
    tree = ast.parse(file.read_text(encoding="utf-8"))
    module = Module(name, file.parent)
    for statement in tree.body:
        _sort_in(module, statement)
    return module


def _sort_in(module: Module, statement: ast.stmt) -> None:
    """Note what a statement at the top of a module defines or does."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        module.definitions.setdefault(statement.name, []).append(statement)
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        module.imports.update(_imports(statement))
    elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        for name in _names_bound(statement):
            module.definitions.setdefault(name, []).append(statement)
    elif _is_type_checking(statement) or is_docstring(statement):
        return
    else:
        module.always.append(statement)


def _imports(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Import]]:
    """Yield every name that an import statement binds, with what it stands for."""
    for alias in statement.names:
        spelled = f"{alias.name} as {alias.asname}"
        if isinstance(statement, ast.ImportFrom):
            module = statement.module or ""
            yield alias.asname or alias.name, Import(module, alias.name, f"{module}.{spelled}")
        else:
            yield alias.asname or alias.name.split(".")[0], Import(alias.name, None, spelled)


def _names_bound(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _is_type_checking(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)


@dataclass(frozen=True)
class Statement:
    """One statement as every command reads it.

    texts: without words, and the files that it names; local: its own imports;
    attributes: of every `a.b` the name `a`, and `b`; names: every name in it.
    """

    texts: list[str]
    local: dict[str, Import]
    attributes: list[tuple[ast.Name, str]]
    names: list[ast.Name]


@cache
def _statement(folder: Path, statement: ast.stmt) -> Statement:
    """Return a statement of a module in `folder`; many commands reach the same one."""
    local = _local_imports(statement)  # they go with the words
    clean = cleaned(statement)
    texts = [ast.unparse(clean), *_files_named(folder, clean)]
    read = Statement(texts, local, [], [])
    for node in ast.walk(clean):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            read.attributes.append((node.value, node.attr))
        elif isinstance(node, ast.Name):
            read.names.append(node)
    return read


class _Reader:
    """Definitions that one command reaches."""

    def __init__(self, package: Path, chosen: Chosen) -> None:
        self._package, self._chosen = package, chosen
        self._seen: set[Definition] = set()
        self._modules: set[str] = set()
        self._waiting: list[Definition] = []
        self._texts: list[str] = []

    def reach(self, first: Definition) -> list[str]:
        """Return the cleaned text of every definition that `first` reaches, itself included."""
        module = _module(self._package, first.module)
        if module is None or first.name not in module.definitions:
            raise BadSettings(f"code: there is no {first.name!r} in {first.module}")
        self._waiting = [first]
        while self._waiting:
            definition = self._waiting.pop()
            if definition not in self._seen:
                self._seen.add(definition)
                self._read(definition)
        return self._texts

    def _read(self, definition: Definition) -> None:
        module = self._enter(definition.module)
        if module is None:
            return
        imported = module.imports.get(definition.name)
        if definition.name in module.definitions:
            for statement in module.definitions[definition.name]:
                self._add(module, self._reduced(definition.name, statement))
        elif imported is not None:
            self._follow(imported)
        elif self._is_module(f"{module.name}.{definition.name}"):
            self._whole(f"{module.name}.{definition.name}")

    def _enter(self, name: str) -> Module | None:
        """Return a module; on the first visit add what runs when it is imported."""
        module = None if name in TOLD else _module(self._package, name)
        if module is None or name in self._modules:
            return module
        self._modules.add(name)
        if "." in name:
            self._enter(name.rpartition(".")[0])
        for statement in module.always:
            self._add(module, statement)
        return module

    def _reduced(self, name: str, statement: ast.stmt) -> ast.stmt:
        """Return the statement of a registry with the chosen key alone."""
        value = getattr(statement, "value", None)
        if name not in self._chosen or not isinstance(value, ast.Dict):
            return statement
        kept = ast.Dict([], [])
        for key, item in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == self._chosen[name]:
                kept.keys.append(key)
                kept.values.append(item)
        return ast.Assign([ast.Name(name, ast.Store())], kept, lineno=0)

    def _add(self, module: Module, statement: ast.stmt) -> None:
        """Note the text of a statement and what it names."""
        read = _statement(module.folder, statement)
        self._texts += read.texts
        bases = set[ast.AST]()
        for base, attribute in read.attributes:
            if self._attribute(module, read.local, base.id, attribute):
                bases.add(base)
        for name in read.names:
            if name not in bases:
                self._name(module, read.local, name.id)

    def _attribute(
        self, module: Module, local: dict[str, Import], base: str, attribute: str
    ) -> bool:
        """Follow `base.attribute` where `base` is a module of ours; say whether it is one."""
        imported = local.get(base) or module.imports.get(base)
        owner = self._module_of(imported) if imported else None
        if owner is None:
            return False
        self._enter(owner)
        self._waiting.append(Definition(owner, attribute))
        return True

    def _name(self, module: Module, local: dict[str, Import], name: str) -> None:
        if name in local:
            self._follow(local[name])
        elif name in module.definitions or name in module.imports:
            self._waiting.append(Definition(module.name, name))
        elif name == "__path__":  # the modules of this folder are found by listing it
            for file in sorted(module.folder.glob("*.py")):
                if file.stem != "__init__":
                    self._whole(f"{module.name}.{file.stem}")

    def _follow(self, imported: Import) -> None:
        """Reach what an imported name stands for; of another library, its name alone."""
        owner = self._module_of(imported)
        if owner is not None:
            self._whole(owner)
        elif imported.module.split(".")[0] == ROOT and imported.name:
            self._waiting.append(Definition(imported.module, imported.name))
        else:
            self._texts.append(f"import {imported.spelled}")

    def _module_of(self, imported: Import) -> str | None:
        """Return the module of ours that an imported name is, or None."""
        named = imported.module if imported.name is None else f"{imported.module}.{imported.name}"
        return named if self._is_module(named) else None

    def _is_module(self, name: str) -> bool:
        return _module(self._package, name) is not None

    def _whole(self, name: str) -> None:
        """Reach every definition of a module: it is handed on as a value."""
        module = self._enter(name)
        for defined in module.definitions if module else ():
            self._waiting.append(Definition(name, defined))


def _local_imports(statement: ast.stmt) -> dict[str, Import]:
    imports: dict[str, Import] = {}
    for node in ast.walk(statement):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.update(_imports(node))
    return imports


def _files_named(folder: Path, clean: ast.AST) -> Iterator[str]:
    """Yield the text of files beside a module that its code names, such as templates."""
    for node in ast.walk(clean):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        named = node.value
        if named.endswith(".j2") and "/" not in named and (folder / named).is_file():
            yield (folder / named).read_text(encoding="utf-8")
