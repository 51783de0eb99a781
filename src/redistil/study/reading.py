"""Settings become typed here; what is wrong with them is said in one sentence."""

from collections.abc import Iterator, Mapping
from datetime import date
from math import isfinite
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from redistil.errors import BadSettings, nearest
from redistil.study.fields import Entry

Kind = TypeVar("Kind", bound=Entry)

_WANTED = {  # by pydantic's type of error
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of settings",
    "model_type": "a mapping of settings",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} in it",
    "string_too_short": "text",
    "literal_error": "one of {expected}",
}


def read(kind: type[Kind], settings: Mapping[str, Any], where: str = "") -> Kind:
    """Return settings as their class; BadSettings names the path of the first key that is wrong.

    where: what a message calls the settings as a whole.
    """
    for path, number in _endless(settings):
        raise BadSettings(f"{_told(where, path)}: wanted a finite number, got {number}")
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BadSettings(f"{sentence(first, where)}") from None


def _endless(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number without end, such as .inf, with the path of its key."""
    if isinstance(value, float) and not isfinite(value):
        yield path, value
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _endless(item, f"{path}.{key}" if path else str(key))


def sentence(error: ErrorDetails, where: str = "") -> str:
    """Return an error of pydantic as one sentence: where, what was wanted, what it is."""
    context = error.get("ctx", {})
    path = [str(part) for part in error["loc"] if part != "[key]"]
    if context.get("key"):
        path.append(context["key"])
    return f"{_told(where, '.'.join(path))}: {_reason(error, context)}"


def _told(where: str, place: str) -> str:
    return f"{where}, {place}" if where and place else where or place or "configuration"


def _reason(error: ErrorDetails, context: Mapping[str, Any]) -> str:
    if error["type"] == "mistake":
        return str(context["sentence"])
    if error["type"] == "extra_forbidden":
        return "unknown key"
    wanted = _WANTED.get(error["type"])
    got = repr(error["input"])
    if wanted is None:
        return f"{error['msg']}, got {got}"
    choices = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ").split(", ")
    close = nearest(str(error["input"]), choices) if error["type"] == "literal_error" else ""
    quoted = _to_be_quoted(error)
    return f"wanted {wanted.format(**context)}, got {got[:200]}{close}{quoted}"


def _to_be_quoted(error: ErrorDetails) -> str:
    """Return advice where YAML took a name such as 2024_11 for something else."""
    is_text = error["type"] == "string_type"
    is_read = isinstance(error["input"], (bool, int, float, date))
    return " (as YAML reads it: put a name in quotation marks)" if is_text and is_read else ""
