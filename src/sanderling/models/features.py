"""What one part of a network hands to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sanderling.errors import ModelError


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Channels and strides of the feature maps of a backbone or neck, finest first."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        """Channels and strides belong together one by one."""
        if len(self.channels) != len(self.strides):
            raise ValueError(f"FeatureSpec has {len(self.channels)} channels for {len(self.strides)} strides")


def expect_strides(asked: Sequence[int], known: Sequence[int], *, whose: str = "this backbone", rule: str = "") -> None:
    """Check that a backbone has the maps that it is asked for.

    Args:
        asked: strides of the maps that are to be handed on.
        known: strides of the maps that there are.
        whose: they are, for the message.
        rule: what else holds or helps, for the message.

    Raises:
        ModelError: none is asked for, one that there is not, or they are not in order.
    """
    if not asked or list(asked) != sorted(set(asked)) or not set(asked) <= set(known):
        raise ModelError(
            f"backbone.strides = {tuple(asked)}: {whose} has maps of strides {', '.join(map(str, known))}; name some "
            f"of them, finest first{rule}"
        )
