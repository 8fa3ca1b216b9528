"""What one part of a network hands to the next."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Channels and strides of the feature maps of a backbone or neck, finest first."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        """Channels and strides belong together one by one."""
        if len(self.channels) != len(self.strides):
            raise ValueError(f"FeatureSpec has {len(self.channels)} channels for {len(self.strides)} strides")
