"""Click options made of the classes of a study: types, ranges and words stand there alone."""

from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import click
from pydantic.fields import FieldInfo

from redistil.cli.options import setting
from redistil.study.fields import Entry

Command = Callable[..., Any]


def settings_from(
    kind: type[Entry], *keys: str, optional: bool = False, **renamed: str
) -> Callable[[Command], Command]:
    """Return a decorator with one option for each of these keys of a class.

    An option is required unless its field may be None, or `optional` is said.
    renamed: keys whose option has another name, by that name.
    """
    named = dict.fromkeys(keys) | renamed

    def declare(command: Command) -> Command:
        for name in reversed(named):
            command = _option(kind.model_fields[named[name] or name], name, optional)(command)
        return command

    return declare


def settings_of_each(kinds: Mapping[str, type[Entry]]) -> Callable[[Command], Command]:
    """Return a decorator with one option for each key that any of several classes has.

    None is required: which keys an entry needs depends on its class.
    """

    def declare(command: Command) -> Command:
        fields: dict[str, FieldInfo] = {}
        for kind in kinds.values():
            fields |= kind.model_fields
        for name, field in reversed(fields.items()):
            command = _option(field, name, optional=True)(command)
        return command

    return declare


def _option(field: FieldInfo, name: str, optional: bool) -> Callable[[Command], Command]:
    flag = f"--{name.replace('_', '-')}"
    words = field.description or ""
    help = f"{words[:1].upper()}{words[1:]}."
    annotation, marks = field.annotation, field.metadata
    if get_origin(annotation) in (Union, UnionType):  # Count | None
        value = FieldInfo.from_annotation(get_args(annotation)[0])
        annotation, marks = value.annotation, value.metadata + marks
        optional = True
    return setting(flag, _type(annotation, _limits(marks)), help, required=not optional)


def _type(annotation: Any, limits: dict[str, Any]) -> click.ParamType[Any]:
    """Return the click type of one value of a field."""
    if get_origin(annotation) is Literal:
        return click.Choice(get_args(annotation))
    if annotation is int:
        return click.IntRange(**limits) if limits else click.INT
    if annotation is float:
        return click.FloatRange(**limits) if limits else click.FLOAT
    return click.BOOL if annotation is bool else click.STRING


def _limits(marks: list[Any]) -> dict[str, Any]:
    """Return the range that a field's marks set, as click's ranges take it."""
    limits: dict[str, Any] = {}
    for mark in marks:
        if isinstance(mark, annotated_types.Ge):
            limits["min"] = mark.ge
        elif isinstance(mark, annotated_types.Gt):
            limits |= {"min": mark.gt, "min_open": True}
        elif isinstance(mark, annotated_types.Le):
            limits["max"] = mark.le
        elif isinstance(mark, annotated_types.Lt):
            limits |= {"max": mark.lt, "max_open": True}
    return limits
