"""What necks ask of the levels that they get."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec

_WORDS = {None: "two or more", 2: "two", 3: "three"}


def expect_doubling(features: FeatureSpec, *, kind: str, levels: Literal[2, 3] | None = None) -> None:
    """Check that each level has twice the stride of the one before.

    Args:
        features: what the neck gets.
        kind: of the neck, for the message.
        levels: how many it takes; None: two or more.

    Raises:
        ModelError: there are other levels, or another number of them.
    """
    strides = features.strides
    fits = len(strides) >= 2 if levels is None else len(strides) == levels
    if not fits or any(coarse != 2 * fine for fine, coarse in pairwise(strides)):
        example = (16, 32) if levels == 2 else (8, 16, 32)
        raise ModelError(
            f"neck.kind = {kind!r}: gets levels of stride {', '.join(map(str, strides))}; it takes {_WORDS[levels]}, "
            "each of twice the stride of the one before. Choose the backbone's maps so, for example strides "
            f"{', '.join(map(str, example))}"
        )


def expect_one_each(features: FeatureSpec, widths: Sequence[int], *, key: str) -> None:
    """Check that a setting has one width for each level.

    Args:
        features: what the neck gets.
        widths: the setting's value.
        key: its name, for the message.

    Raises:
        ModelError: there are more or fewer.
    """
    if len(widths) != len(features.strides):
        raise ModelError(
            f"{key} = {widths}: {len(widths)} widths for {len(features.strides)} levels (strides "
            f"{', '.join(map(str, features.strides))}); give one for each level, finest first"
        )


def expect_halving(width: int, *, times: int, key: str) -> None:
    """Check that a width can be halved from level to level and something is left.

    Args:
        width: the setting's value.
        times: how often it is halved.
        key: its name, for the message.

    Raises:
        ModelError: nothing is left.
    """
    if width < 2**times:
        raise ModelError(
            f"{key} = {width}: is halved {times} times for this many levels and nothing is left; use at least "
            f"{2**times}, or fewer levels"
        )
