"""What necks ask of the levels that they get."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec

_WORDS = {2: "two", 3: "three"}


def expect_doubling(features: FeatureSpec, *, kind: str, levels: int | None = None) -> None:
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
        wanted = "two or more" if levels is None else _WORDS.get(levels, levels)
        example = ", ".join(map(str, (8, 16, 32) if levels is None else (8, 16, 32)[-levels:]))
        raise ModelError(
            f"neck.kind = {kind!r}: gets levels of stride {', '.join(map(str, strides))}; it takes {wanted}, each "
            f"of twice the stride of the one before. Choose the backbone's maps so, for example strides {example}"
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
