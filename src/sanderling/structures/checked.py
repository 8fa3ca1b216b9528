"""Plain values into a frozen dataclass, each checked against its type hint: for what runs on a device.

`config.parse` does the same for every file that a person writes, through pydantic. A prediction process reads one
sidecar that a machine wrote and three thresholds; pydantic would cost it a seventh of its memory.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import annotated_types as bounds

from sanderling.errors import UsageError, nearest

Checked = TypeVar("Checked")


def build(cls: type[Checked], plain: object, *, source: str) -> Checked:
    """Build `cls` from plain values.

    Args:
        cls: a dataclass of numbers, text, literals, tuples, optional values and other such dataclasses.
        plain: nested mappings, lists and scalars.
        source: where the values came from; it heads every error.

    Raises:
        UsageError: an unknown key (the nearest is suggested), a missing key, or a value of the wrong type or range.
    """
    return typing.cast(Checked, _dataclass(cls, plain, "", source))


def _dataclass(cls: type, plain: object, key: str, source: str) -> object:
    if not isinstance(plain, Mapping):
        raise _wrong(source, key, plain, f"the keys of {cls.__name__} are expected")
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for name in plain:
        if name not in fields:
            raise UsageError(f"{source}: unknown key {_join(key, str(name))!r}; {nearest(str(name), fields)}")
    for name, field in fields.items():
        if name not in plain and field.default is field.default_factory is dataclasses.MISSING:
            raise UsageError(f"{source}: the key {_join(key, name)!r} is missing")
    return cls(**{name: _value(hints[name], value, _join(key, name), source) for name, value in plain.items()})


def _value(hint: Any, value: object, key: str, source: str) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        checked = _value(arguments[0], value, key, source)
        for bound in arguments[1:]:
            _require_within(bound, checked, key, source)
        return checked
    if origin is typing.Literal:
        if value not in arguments:
            raise _wrong(source, key, value, f"one of {', '.join(map(repr, arguments))} is expected")
        return value
    if origin is types.UnionType:
        inner = next(argument for argument in arguments if argument is not types.NoneType)
        return None if value is None else _value(inner, value, key, source)
    if origin is tuple:
        return _tuple(arguments, value, key, source)
    if dataclasses.is_dataclass(hint):
        return _dataclass(typing.cast(type, hint), value, key, source)
    return _scalar(hint, value, key, source)


def _tuple(hints: tuple[Any, ...], value: object, key: str, source: str) -> tuple[object, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise _wrong(source, key, value, "a list is expected")
    each = (hints[0],) * len(value) if hints[-1] is Ellipsis else hints
    if len(each) != len(value):
        raise _wrong(source, key, value, f"{len(each)} values are expected")
    pairs = zip(each, value, strict=True)
    return tuple(_value(hint, item, f"{key}.{index}", source) for index, (hint, item) in enumerate(pairs))


def _scalar(kind: type, value: object, key: str, source: str) -> object:
    # A truth value is no number, although Python counts it as one; a whole number is a number.
    whole = isinstance(value, int) and not isinstance(value, bool)
    if kind is float and whole:
        return float(typing.cast(int, value))
    if not (whole if kind is int else isinstance(value, kind)):
        names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        raise _wrong(source, key, value, f"{names[kind]} is expected")
    return value


def _require_within(bound: object, value: Any, key: str, source: str) -> None:
    rules = {
        bounds.Gt: ("greater than", lambda limit: value > limit, "gt"),
        bounds.Ge: ("at least", lambda limit: value >= limit, "ge"),
        bounds.Lt: ("less than", lambda limit: value < limit, "lt"),
        bounds.Le: ("at most", lambda limit: value <= limit, "le"),
    }
    words, holds, name = rules[type(bound)]
    limit = getattr(bound, name)
    if not holds(limit):
        raise _wrong(source, key, value, f"{words} {limit} is expected")


def _wrong(source: str, key: str, value: object, rule: str) -> UsageError:
    return UsageError(f"{source}: {key or 'value'} = {value!r}: {rule}")


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
