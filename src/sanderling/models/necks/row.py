"""Two necks in a row: the first collects or enriches, the second aggregates."""

from __future__ import annotations

from torch import Tensor, nn

from sanderling.models.features import FeatureSpec


class NeckRow(nn.Module):
    """The second neck works on what the first hands on.

    Args:
        first: gets the backbone's maps.
        then: built for the first one's features.
        features: of the second one.
    """

    def __init__(self, first: nn.Module, then: nn.Module, *, features: FeatureSpec) -> None:
        super().__init__()
        self.features = features
        self.first = first
        self.then = then

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone to those of the second neck, finest first."""
        return self.then(self.first(maps))
