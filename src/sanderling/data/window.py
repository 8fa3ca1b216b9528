"""A window of samples: decoded once, planned as a whole, drawn one by one into their places. No torch.

Everything is a function of the task and the settings, so any process gives the same pixels.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from sanderling.data.picture_cache import PictureCache
from sanderling.data.planning import WindowLabels, WindowPlan, WindowSettings, WindowTask, plan_window
from sanderling.data.source import Source, decode_source, stand_ins
from sanderling.data.transforms.fill import flood
from sanderling.data.transforms.geometry import paste, warp
from sanderling.errors import DataError
from sanderling.pictures import Picture


class Window:
    """The samples of one window, ready to be drawn.

    Attributes:
        unreadable: path to reason, of the pictures that could not be decoded.
        plan: how the samples are drawn; None when no picture could be decoded, and then nothing can be.
    """

    def __init__(self, task: WindowTask, settings: WindowSettings, cache: PictureCache | None = None) -> None:
        """Decode the pictures that are not in the cache, and plan the samples."""
        self.unreadable: dict[str, str] = {}
        self.plan: WindowPlan | None = None
        self._augment, self._progress = settings.augment, task.progress
        decoded: list[Source | None] = []
        for place, path in enumerate(task.paths):
            try:
                decoded.append(_source(place, task, settings, cache))
            except DataError as error:
                self.unreadable[path] = str(error)
                decoded.append(None)
        if any(source is not None for source in decoded):
            pictures = stand_ins(decoded)
            sources = [source for picture in pictures if (source := decoded[picture]) is not None]
            self.plan = plan_window(task, settings, sources, pictures)

    @property
    def labels(self) -> WindowLabels | None:
        """What the samples show, None where there is no plan."""
        return None if self.plan is None else self.plan.labels

    def draw(self, sample: int, image: Picture) -> None:
        """Draw one sample into its place, uint8 HxWx3 of the sample's height and width.

        Raises:
            ValueError: there is no plan.
        """
        plan = self.plan
        if plan is None:
            raise ValueError("no picture of this window could be decoded, so that none of its samples can be drawn")
        draw_pictures(plan, sample, image)
        if (mixture := plan.mixtures.get(sample)) is not None:
            other = np.empty_like(image)
            draw_pictures(plan, mixture.other, other)
            mixture.apply(image, other)
        labels = plan.labels
        boxes_xyxy = labels.boxes_xyxy[labels.first_box[sample] : labels.first_box[sample + 1]]
        plan.effects[sample].apply(image, boxes_xyxy, self._augment, progress=self._progress)


def draw_pictures(plan: WindowPlan, sample: int, image: Picture) -> None:
    """Put the pictures of a sample into their places, uint8 HxWx3: what comes before mixing and effects."""
    if (border := plan.borders[sample]) is not None:
        flood(image, border)
    for tile in plan.pastes[sample]:
        if tile.matrix is None:
            paste(tile.picture, tile.crop_xyxy, image, tile.target_xyxy)
        else:
            warp(tile.picture, tile.matrix, image, tile.target_xyxy)
    if plan.mirrored[sample]:
        cv2.flip(image, 1, dst=image)


def _source(place: int, task: WindowTask, settings: WindowSettings, cache: PictureCache | None) -> Source:
    """One picture of the window, out of the cache or into it."""
    picture = int(task.indices[place])
    if cache is not None and (kept := cache.get(picture, epoch=task.epoch)) is not None:
        return kept
    height, width = task.sizes_hw[place].tolist()
    source = decode_source(Path(task.paths[place]), (height, width), settings.picture, settings.augment)
    if cache is not None:
        cache.put(picture, source, epoch=task.epoch)
    return source
