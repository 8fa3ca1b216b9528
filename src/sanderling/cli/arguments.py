"""The habits of other tools, understood: `--imgsz 320 416` and `epochs=10`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

_SMALLEST_SIDE = 32
_YES, _NO = ("true", "1", "yes"), ("false", "0", "no")


def as_options(words: Sequence[str], takes_value: Mapping[str, bool]) -> list[str]:
    """Rewrite words into what the parser takes: two sides into one, `name=value` into `--name value`.

    Args:
        words: of one verb.
        takes_value: every option of the verb, with its dashes, and whether a value follows it.

    >>> as_options(["m.onnx", "imgsz=320", "--imgsz", "320", "416"], {"--imgsz": True})
    ['m.onnx', '--imgsz', '320', '--imgsz', '320x416']
    """
    rewritten: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*rewritten, word, *rest]
        if not word.startswith("-"):
            rewritten += _spelled_as_option(word, takes_value)
            continue
        rewritten.append(word)
        if takes_value.get(word) and rest:
            value = rest.pop(0)
            # A following number below any side is something else: camera 0.
            if word == "--imgsz" and rest and _is_side(value) and _is_side(rest[0]):
                value = f"{value}x{rest.pop(0)}"
            rewritten.append(value)
    return rewritten


def _is_side(word: str) -> bool:
    return word.isdecimal() and int(word) >= _SMALLEST_SIDE


def _spelled_as_option(word: str, takes_value: Mapping[str, bool]) -> list[str]:
    name, equals, value = word.partition("=")
    option = "--" + name.replace("_", "-")
    if not equals or option not in takes_value or Path(word).exists():
        return [word]
    if takes_value[option]:
        return [option, value]
    if value.lower() in _YES:
        return [option]
    if value.lower() in _NO:
        against = f"--no-{option.removeprefix('--')}"
        return [against] if against in takes_value else []
    # The parser says that this option takes no value.
    return [f"{option}={value}"]
