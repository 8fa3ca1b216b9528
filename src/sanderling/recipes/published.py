"""Published recipes are for the detectors that their authors trained so."""

from __future__ import annotations

from collections.abc import Collection

from sanderling.errors import UsageError
from sanderling.models.network import DetectorConfig


def expect_published(model: DetectorConfig, names: Collection[str]) -> None:
    """Check that a recipe is asked for one of its detectors.

    Raises:
        UsageError: it is another one.
    """
    if model.name not in names:
        raise UsageError(f"{model.name}: this recipe is for {', '.join(names)}; choose the recipe of its family")
