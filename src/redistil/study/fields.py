"""The kinds of value that settings are made of, and the class of every entry of a catalogue.

A class of settings declares each key once: its type, range, unit and meaning. `Names` marks a
value as the name of an entry in a catalogue; `references` finds every such value.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Self,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    model_validator,
)
from pydantic_core import PydanticCustomError

from redistil.errors import nearest


def mistake(sentence: str, key: str | None = None) -> PydanticCustomError:
    """Return an error to raise from a validator; key: the key at fault of the entry at hand."""
    return PydanticCustomError("mistake", "{sentence}", {"sentence": sentence, "key": key})


# --- an entry, and what becomes of it -------------------------------------------------------------


class Entry(BaseModel):
    """Settings by name: read only, and refused where a key is unknown or missing.

    An entry reads like a mapping too, for templates and for keys that are known at run time only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)
    of_kind: ClassVar[str] = ""  # by which a catalogue finds the class of an entry
    kind_key: ClassVar[str | None] = None  # the key that makes an entry of its kind
    called: ClassVar[str | None] = None  # what a message calls an entry of this class

    def __init_subclass__(cls, kind: str | None = None, **more: Any) -> None:
        super().__init_subclass__(**more)
        if kind is not None:
            cls.of_kind = kind
            cls.name_kind(kind)

    @classmethod
    def __pydantic_init_subclass__(cls, kind: str | None = None, **more: Any) -> None:
        super().__pydantic_init_subclass__(**more)

    @classmethod
    def name_kind(cls, kind: str) -> None:
        """Say how messages call an entry of a kind: by its key, unless a subclass knows better."""
        cls.kind_key, cls.called = kind, f"an entry with `{kind}`"

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        names = cls.names()
        for key in sorted(value.keys() - names.keys(), key=str):
            raise mistake(_unknown(cls, str(key), sorted(names)), str(key))
        for key in sorted(names.keys() - value.keys()):
            if cls.model_fields[names[key]].is_required():
                raise mistake(f"{cls.called or 'a key is missing: it'} needs `{key}`")
        return value

    @classmethod
    def names(cls) -> dict[str, str]:
        """Return the name of the attribute that each key has: another one for `import`."""
        names = {}
        for name, field in cls.model_fields.items():
            names[field.alias or name] = name
        return names

    def __getitem__(self, key: str) -> Any:
        return getattr(self, type(self).names()[key])

    def __contains__(self, key: object) -> bool:
        return self.get(str(key)) is not None

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key; `default` where there is no such key, or no value."""
        try:
            value = self[key]
        except KeyError:
            return default
        return default if value is None else value

    def stated(self) -> dict[str, Any]:
        """Return the settings that were given, as plain values."""
        stated = {}
        for key, name in type(self).names().items():
            if name in self.model_fields_set:
                stated[key] = plain(getattr(self, name))
        return stated

    def settings(self, without: frozenset[str] = frozenset({"licence"})) -> dict[str, Any]:
        """Return the settings that have a value, but for the keys in `without`."""
        settings = {}
        for key, name in type(self).names().items():
            value = getattr(self, name)
            if value is not None and key not in without:
                settings[key] = plain(value)
        return settings

    def changed(self, **values: Any) -> Self:
        """Return a copy with other values, which are not checked again."""
        return self.model_copy(update=values)


def _unknown(kind: type[Entry], key: str, keys: list[str]) -> str:
    if kind.called is None:
        return f"unknown key{nearest(key, keys)} (one of: {', '.join(keys)})"
    takes = [one for one in keys if one != kind.kind_key]
    return f"{kind.called} takes {', '.join(takes) or 'no other key'}{nearest(key, takes)}"


def plain(value: Any) -> Any:
    """Return settings as mappings, lists, numbers and text alone."""
    if isinstance(value, Entry):
        return value.stated()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return list(map(plain, value)) if isinstance(value, list) else value


# --- numbers, as YAML 1.2 reads them --------------------------------------------------------------

_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")  # YAML 1.1 takes 1e-5 for text


def _number(value: Any) -> Any:
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        return float(value)
    return value


def _whole(value: Any) -> Any:
    number = _number(value)
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number


_strict = Field(strict=True)
Number = Annotated[float, _strict, BeforeValidator(_number)]
Whole = Annotated[int, _strict, BeforeValidator(_whole)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Count = Annotated[Whole, Field(ge=1)]
CountOrNone = Annotated[Whole, Field(ge=0)]  # 0: none at all
Share = Annotated[Number, Field(ge=0, lt=1)]
Part = Annotated[Number, Field(ge=0, le=1)]
Rate = Annotated[Number, Field(gt=0, le=1)]
Seed = Annotated[Whole, Field(ge=0, le=2**32 - 1)]
Length = Annotated[Whole, Field(ge=4, le=8192)]  # tokens

# --- words ----------------------------------------------------------------------------------------


def matching(pattern: str, description: str) -> AfterValidator:
    """Return a check that text has a pattern; description: what a message says was wanted."""
    expression = re.compile(pattern)

    def check(value: str) -> str:
        if not expression.fullmatch(value):
            raise mistake(f"wanted {description}, got {value!r}")
        return value

    return AfterValidator(check)


_text = Annotated[str, _strict]
Text = Annotated[str, _strict, Field(min_length=1)]
Name = Text  # of an entry: the catalogue that has it decides whether it is one
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # becomes the name of a file or folder
Measure = Annotated[
    _text,
    matching(
        r"((nDCG|RR|AP)(@[1-9][0-9]*)?|(R|P|Success)@[1-9][0-9]*)",
        description="a measure such as nDCG@10, RR@10, AP, R@100 or Success@5",
    ),
]
Precision = Literal["float32", "tf32", "bfloat16"]


def _once(values: list[Any]) -> list[Any]:
    for value in values:
        if values.count(value) > 1:
            raise mistake(f"{value!r} is listed twice in {values}")
    return values


Once = AfterValidator(_once)

# --- one of several classes -----------------------------------------------------------------------

Kinds = dict[str, type[Entry]]


def kinds(*classes: type[Entry]) -> Kinds:
    """Return classes by the kind that each declares."""
    return {one.of_kind: one for one in classes}


def by_key(classes: Kinds) -> PlainValidator:
    """Return a check that finds an entry's class by the one key of `classes` that it has."""

    def class_of(value: Mapping[str, Any]) -> type[Entry]:
        keys = [key for key in classes if key in value]
        if not keys:
            raise mistake(f"of no kind: give it one of {', '.join(classes)}")
        if len(keys) > 1:
            raise mistake(
                f"{' and '.join(keys)}: an entry is of one kind, keep one of these keys "
                "(a study only adds keys to an entry: give another kind a name of its own)"
            )
        return classes[keys[0]]

    return _of_class(class_of)


def by_value(key: str, classes: Kinds) -> PlainValidator:
    """Return a check that finds an entry's class by the value of one of its keys."""

    def class_of(value: Mapping[str, Any]) -> type[Entry]:
        if key not in value:
            raise mistake(f"a key is missing: it needs `{key}`")
        return kind_of(value, key, classes)

    return _of_class(class_of)


def _of_class(class_of: Callable[[Mapping[str, Any]], type[Entry]]) -> PlainValidator:
    def read(value: Any) -> Entry:
        if isinstance(value, Entry):
            return value
        if not isinstance(value, Mapping):
            raise mistake(f"wanted a mapping of settings, got {value!r}")
        return class_of(value).model_validate(value)

    return PlainValidator(read)


def kind_of(value: Mapping[str, Any], key: str, classes: Kinds) -> type[Entry]:
    """Return the class that a key's value names."""
    named = value[key]
    if named not in classes:
        close = nearest(str(named), classes)
        raise mistake(f"wanted one of {', '.join(classes)}, got {named!r}{close}", key)
    return classes[named]


def one_or_each(single: Any, each: Any) -> PlainValidator:
    """Return a check of one value for all, or of a mapping with a value for each."""
    of_one, of_each = TypeAdapter(single), TypeAdapter(each)

    def read(value: Any) -> Any:
        chosen = of_each if isinstance(value, Mapping) else of_one
        return chosen.validate_python(value)

    return PlainValidator(read)


# --- names of other entries -----------------------------------------------------------------------


class Names(NamedTuple):
    """A mark on text: it is the name of an entry in this catalogue of the study."""

    catalogue: str


class Reference(NamedTuple):
    """A name, the path of the key that says it, and the catalogue that it must be in."""

    path: str
    name: str
    catalogue: str


def references(entry: Entry, path: str = "") -> Iterator[Reference]:
    """Yield every name of another entry that is said in an entry, however deep."""
    hints = _hints(type(entry))
    for key, name in type(entry).names().items():
        below = f"{path}.{key}" if path else key
        yield from _references(getattr(entry, name), hints[name], below)


@cache
def _hints(kind: type[Entry]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _references(value: Any, annotation: Any, path: str) -> Iterator[Reference]:
    if value is None:
        return
    if isinstance(value, Entry):
        yield from references(value, path)
        return
    if get_origin(annotation) is Annotated:
        annotation, *marks = get_args(annotation)
        for mark in marks:
            if isinstance(mark, Names):
                yield Reference(path, value, mark.catalogue)
        yield from _references(value, annotation, path)
    elif get_origin(annotation) in (Union, UnionType):
        for arm in get_args(annotation):
            if isinstance(value, _class_of(arm)):
                yield from _references(value, arm, path)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item, get_args(annotation)[0], path)
    elif isinstance(value, Mapping):
        of_key, of_value = get_args(annotation)
        for key, item in value.items():
            yield from _references(key, of_key, path)
            yield from _references(item, of_value, f"{path}.{key}")


def _class_of(annotation: Any) -> type:
    """Return the class that values of an annotation have."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    kind = get_origin(annotation) or annotation
    return kind if isinstance(kind, type) else type(None)
