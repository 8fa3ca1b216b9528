from __future__ import annotations

import pytest
import typer

from sanderling.cli.options import separate, size


@pytest.mark.parametrize(("text", "sides"), [("320", (320,)), ("320x416", (320, 416)), ("320,416", (320, 416))])
def test_a_size_is_one_side_or_two(text: str, sides: tuple[int, ...]) -> None:
    assert size(text) == sides


@pytest.mark.parametrize("text", ["", "big", "320x", "320x416x3", "-320", "32.0"])
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a size"):
        size(text)


def test_lists_are_taken_apart() -> None:
    assert separate(["fire, smoke", "3", ""]) == ["fire", "smoke", "3"]
    assert separate(None) is None
    assert separate([]) is None
