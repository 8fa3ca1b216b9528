"""Any config dataclass to and from text: parse, plain, load, dump, override, explain.

A config is a frozen stdlib dataclass whose fields are plain values, enums of literals, tuples, other configs or
closed unions of configs told apart by a `kind` field. YAML follows the 1.2 rules (`no` is text, `1e-3` a number,
duplicate keys are refused). Unknown keys are errors that suggest the nearest key.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sanderling.errors import UsageError, nearest

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from ruamel.yaml.composer import Composer

Config = TypeVar("Config")

_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def parse(cls: type[Config], plain: object, *, source: str = "configuration") -> Config:
    """Build `cls` from plain values (what YAML or JSON gives).

    Args:
        cls: a config dataclass.
        plain: nested mappings, lists and scalars.
        source: the file or option that the values came from; it heads every error.

    Raises:
        UsageError: an unknown key (the nearest is suggested), a missing key, or a value of the wrong type or range.
    """
    from pydantic import ValidationError

    _refuse_unknown_keys(cls, plain, path="", source=source)
    try:
        return cast(Config, _adapter(cls).validate_python(plain))
    except ValidationError as error:
        key, value, why = _complaint(error.errors(), plain)
        raise UsageError(f"{source}: {key} = {value!r}: {why}" if key else f"{source}: {value!r}: {why}") from None


def _adapter(cls: type) -> TypeAdapter[Any]:
    """What validates a class; it takes tenths of a second to build one of a run."""
    from pydantic import TypeAdapter

    if cls not in _ADAPTERS:
        _ADAPTERS[cls] = TypeAdapter(cls)
    return _ADAPTERS[cls]


def plain(config: object) -> Any:
    """Turn a config into nested dicts, lists and scalars; `parse` reads them back equal."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {field.name: plain(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {str(key): plain(value) for key, value in config.items()}
    if isinstance(config, tuple | list):
        return [plain(value) for value in config]
    if isinstance(config, Path):
        return str(config)
    return config


def load_yaml(text: str, *, source: str) -> Any:
    """Read one YAML 1.2 document.

    Raises:
        UsageError: not YAML, a key stands twice in one mapping, or an alias (`*name`) repeats more than a single value
            (a few lines of such could be read as more values than memory holds).
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML(typ="safe", pure=True)
    yaml.Composer, yaml.Constructor = _composer(), _constructor()
    try:
        return yaml.load(text)
    except YAMLError as error:
        raise UsageError(f"{source}: not readable as YAML: {_problem(error)}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source}: not readable as YAML: {error}; mend this value or put quotes around it") from None


def dump_yaml(values: Any) -> str:
    """Write plain values as YAML, keys in their own order."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = io.StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()


def load(cls: type[Config], path: Path) -> Config:
    """Read a config file.

    Raises:
        UsageError: the file is missing, is not YAML, or does not fit `cls`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; name an existing file") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not UTF-8 text; a YAML configuration file is expected") from None
    return parse(cls, load_yaml(text, source=str(path)), source=str(path))


def dump(config: object) -> str:
    """Write a config as YAML text that `load` reads back unchanged."""
    return dump_yaml(plain(config))


def override(config: Config, assignments: Sequence[str]) -> Config:
    """Return a copy with `key.path=value` assignments applied; values are read as YAML.

    Setting a `kind` to another kind starts that part afresh from its defaults; kinds are set before anything else,
    whatever the order of the assignments. A list is set as a whole: `size_hw=[320, 416]`.

    Raises:
        UsageError: an assignment without `=`, an unknown key, or a value that does not fit.
    """
    values = plain(config)
    wanted = []
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {assignment!r}: expected key=value, for example --set optimizer.lr=0.01")
        wanted.append((key.strip().split("."), load_yaml(text, source=f"--set {assignment}"), assignment))
    for keys, value, assignment in sorted(wanted, key=lambda want: want[0][-1] != "kind"):
        _assign(values, keys, value, assignment)
    return parse(type(config), values, source="--set") if assignments else config


def assigned(values: Mapping[str, object]) -> list[str]:
    """Key paths and plain values as `key.path=value` for `override`; None leaves the value that is there.

    >>> assigned({"loop.epochs": 5, "data.path": "birds", "seed": None})
    ['loop.epochs=5', 'data.path="birds"']
    """
    # JSON text is YAML text.
    return [f"{key}={json.dumps(value)}" for key, value in values.items() if value is not None]


def differences(ours: Any, theirs: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Key path and both values wherever plain values of two configs differ; None stands for a missing one.

    >>> list(differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}))
    [('a.c', 2, 3)]
    """
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for name in {**ours, **theirs}:
            yield from differences(ours.get(name), theirs.get(name), f"{key}.{name}" if key else name)
    elif ours != theirs:
        yield key, ours, theirs


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One line of `explain`: a key path, its type, its default (None where required) and what it means."""

    key: str
    type: str
    default: str
    meaning: str


def explain(cls: type) -> Iterator[Setting]:
    """List every setting of a config class, nested ones with their dotted path, in file order."""
    yield from _explain(cls, prefix="")


def _explain(cls: type, prefix: str) -> Iterator[Setting]:
    hints = typing.get_type_hints(cls)
    meanings = _attribute_docstrings(cls)
    for field in dataclasses.fields(cls):
        members = _config_members(hints[field.name])
        if members:
            for member in members:
                kind = _kind_of(member)
                label = f"{prefix}{field.name}." if kind is None else f"{prefix}{field.name}[{kind}]."
                yield from _explain(member, label)
            continue
        yield Setting(
            key=prefix + field.name,
            type=_type_name(hints[field.name]),
            default=_default_text(field),
            meaning=meanings.get(field.name, ""),
        )


def _default_text(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return repr(plain(field.default))
    if field.default_factory is not dataclasses.MISSING:
        return repr(plain(field.default_factory()))
    return "required"


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("typing.", "")


def _attribute_docstrings(cls: type) -> dict[str, str]:
    """Collect the string literals that follow the fields of a class body."""
    try:
        body = ast.parse(inspect.cleandoc("\n" + inspect.getsource(cls))).body[0]
    except (OSError, TypeError, SyntaxError):
        return {}
    found: dict[str, str] = {}
    assert isinstance(body, ast.ClassDef)
    for before, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(before, ast.AnnAssign)
            and isinstance(before.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[before.target.id] = inspect.cleandoc(str(after.value.value)).replace("\n", " ")
    return found


def _config_members(hint: Any) -> list[type]:
    """The config dataclasses that a type hint may hold directly (through Annotated, unions and Optional)."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return [hint]
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _config_members(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return [member for part in typing.get_args(hint) for member in _config_members(part)]
    return []


def _kind_of(cls: type) -> str | None:
    for field in dataclasses.fields(cls):
        if field.name == "kind" and isinstance(field.default, str):
            return field.default
    return None


def _part_hint(hint: Any, part: int | None) -> Any:
    """The hint of an item of a sequence, or (part None) of the values of a mapping; None where it holds neither."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _part_hint(args[0], part)
    if origin in (typing.Union, types.UnionType):
        found = [_part_hint(member, part) for member in args]
        return next((item for item in found if item is not None), None)
    if part is None:
        return args[1] if origin in (dict, Mapping) and len(args) == 2 else None
    if origin is tuple and args[-1] is not Ellipsis:
        return args[part] if part < len(args) else None
    return args[0] if origin in (tuple, list) and args else None


def _refuse_unknown_keys(hint: Any, value: object, *, path: str, source: str) -> None:
    members = _config_members(hint)
    if members and isinstance(value, Mapping):
        member = _choose_member(members, value, path=path, source=source)
        hints = typing.get_type_hints(member, include_extras=True)
        known = [field.name for field in dataclasses.fields(member)]
        for key, inner in value.items():
            if key not in known:
                where = f"{path}{key}"
                raise UsageError(f"{source}: unknown key {where!r}; {nearest(str(key), known)}")
            _refuse_unknown_keys(hints[key], inner, path=f"{path}{key}.", source=source)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _refuse_unknown_keys(_part_hint(hint, index), inner, path=f"{path}{index}.", source=source)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_unknown_keys(_part_hint(hint, None), inner, path=f"{path}{key}.", source=source)


def _choose_member(members: list[type], value: Mapping[Any, Any], *, path: str, source: str) -> type:
    if len(members) == 1:
        return members[0]
    by_kind = {_kind_of(member): member for member in members}
    choices = [name for name in by_kind if name is not None]
    if "kind" not in value:
        raise UsageError(f"{source}: {path}kind is missing; known: {', '.join(sorted(choices))}")
    kind = value["kind"]
    if kind not in choices:
        raise UsageError(f"{source}: {path}kind = {kind!r} is not a known kind; {nearest(str(kind), choices)}")
    return by_kind[kind]


def _assign(values: dict[str, Any], keys: list[str], value: Any, assignment: str) -> None:
    """Set one value in nested mappings; `parse` judges keys and values afterwards."""
    for depth, key in enumerate(keys[:-1], start=1):
        if values.get(key) is None:
            values[key] = {}
        if not isinstance(values[key], dict):
            where = ".".join(keys[:depth])
            raise UsageError(f"--set {assignment!r}: {where!r} has no parts; set it as a whole: {where}=VALUE")
        values = values[key]
    if keys[-1] == "kind" and values.get("kind") != value:
        values.clear()
    values[keys[-1]] = value


def _complaint(errors: Sequence[Any], plain: object) -> tuple[str, Any, str]:
    """Dotted key, value and reason of what is wrong. Of a union's members only the one that was chosen is heard."""
    others = {error["loc"][:-1] for error in errors if error["type"] == "literal_error" and error["loc"][-1] == "kind"}
    heard = [error for error in errors if not any(error["loc"][: len(other)] == other for other in others)]
    first = (heard or errors)[0]
    keys: list[str] = []
    value: Any = plain
    # The path also names union members and types; what the given values do not contain is none of the user's keys.
    for part in first["loc"]:
        inside = isinstance(value, Mapping) and part in value
        if inside or (isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)):
            keys.append(str(part))
            value = value[part]
    if first["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return ".".join([*keys, str(first["loc"][-1])]), None, "is missing and has no default"
    return ".".join(keys), value, first["msg"]


def _composer() -> type[Composer]:
    from ruamel.yaml.composer import Composer, ComposerError
    from ruamel.yaml.nodes import ScalarNode

    class PlainComposer(Composer):
        """An alias stands for a single value, never for a list or mapping."""

        def return_alias(self, a: Any) -> Any:
            if not isinstance(a, ScalarNode):
                problem = f"the alias of {a.anchor!r} repeats a list or mapping; write it out"
                raise ComposerError(None, None, problem, a.start_mark)
            return a

    return PlainComposer


def _constructor() -> type:
    from ruamel.yaml.constructor import SafeConstructor

    class PlainConstructor(SafeConstructor):
        """Dates are text, as in YAML 1.2's core schema."""

    PlainConstructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)
    return PlainConstructor


def _problem(error: Exception) -> str:
    """What the reader complains of and where, in one line."""
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    mark = getattr(error, "problem_mark", None)
    said = ": ".join(part for part in (context, problem) if part) or str(error).splitlines()[0]
    return said if mark is None else f"{said} (line {mark.line + 1})"
