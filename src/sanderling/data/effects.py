"""What happens to the pixels of a drawn sample, boxes staying where they are. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sanderling.data.augment import AugmentConfig
from sanderling.data.transforms.auto_augment import DrawnPolicy
from sanderling.data.transforms.colour import recolour
from sanderling.data.transforms.cutout import cut_out, cut_out_grid
from sanderling.data.transforms.erase import erase
from sanderling.data.transforms.grid_mask import mask_grid
from sanderling.pictures import Picture


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Effects:
    """Those of one sample, in their order: colour, AutoAugment's changes, and what is taken out of the picture.

    Attributes:
        colour: float32 3x4, None where the colours stay.
        policy: AutoAugment's, None without it.
        marked: bool GxG, cells over the original picture that are cut out, None where none are.
        placement: float64 2x3, from shares of the original picture's sides to pixels of the sample.
        seed: of everything that is drawn by lot here.
    """

    colour: NDArray[np.float32] | None
    policy: DrawnPolicy | None
    marked: NDArray[np.bool_] | None
    placement: NDArray[np.float64]
    seed: tuple[int, ...]

    def apply(
        self, image: Picture, boxes_xyxy: NDArray[np.float32], augment: AugmentConfig, *, progress: float
    ) -> None:
        """Change a sample in place.

        Args:
            image: uint8 HxWx3.
            boxes_xyxy: Tx4, pixels of the sample.
            augment: the variations of the run.
            progress: how much of the run is over, 0..1.
        """
        if self.colour is not None:
            recolour(image, self.colour)
        if augment.draws_in_place:
            rng = np.random.default_rng(self.seed)
            if self.policy is not None:
                self.policy.change(image, boxes_xyxy, rng)
            if augment.erase is not None:
                erase(image, boxes_xyxy, augment.erase, rng)
            if augment.cutout is not None:
                cut_out(image, augment.cutout, rng)
            if augment.grid_mask is not None:
                mask_grid(image, augment.grid_mask, progress=progress, rng=rng)
        if self.marked is not None and augment.activation_cutout is not None:
            cut_out_grid(image, self.marked, self.placement, original_hw=(1, 1), fill=augment.activation_cutout.fill)
