"""What necks ask of the levels that they get."""

from __future__ import annotations

from itertools import pairwise

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec


def expect_doubling(features: FeatureSpec, *, kind: str) -> None:
    """Check that there are at least two levels, each of twice the stride of the one before.

    Raises:
        ModelError: there are other levels.
    """
    strides = features.strides
    if len(strides) < 2 or any(coarse != 2 * fine for fine, coarse in pairwise(strides)):
        raise ModelError(
            f"neck.kind = {kind!r}: gets levels of stride {', '.join(map(str, strides))}; it takes two or more, each "
            "of twice the stride of the one before. Choose the backbone's maps so, for example strides 8, 16, 32"
        )
