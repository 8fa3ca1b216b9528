"""A window of samples: decoded once, planned as a whole, drawn one by one into their places. No torch.

Everything is a function of the task and the settings, so any process gives the same pixels. Axes: N samples and as
many pictures, T boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sanderling.data.augment import AugmentConfig, draw
from sanderling.data.transforms.colour import changes_colour, colour_matrices, recolour
from sanderling.data.transforms.geometry import move_boxes, paste, snap
from sanderling.data.transforms.layout import lay_out
from sanderling.errors import DataError
from sanderling.pictures import Picture, Placement, decode, place
from sanderling.structures.artefact import PictureRule


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowSettings:
    """What all windows of a run have in common."""

    picture: PictureRule
    augment: AugmentConfig
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WindowTask:
    """The pictures of one window and their boxes.

    Attributes:
        epoch: the epoch.
        mosaic: False leaves mosaic out.
        indices: int64 N, the pictures' places in the data set.
        paths: N files.
        sizes_hw: int32 Nx2, (0, 0) where not known.
        boxes_xyxy: float64 Tx4, original pixels.
        labels: int64 T.
        first_box: int64 N+1, where each picture's boxes begin, and the end.
    """

    epoch: int
    mosaic: bool
    indices: NDArray[np.int64]
    paths: tuple[str, ...]
    sizes_hw: NDArray[np.int32]
    boxes_xyxy: NDArray[np.float64]
    labels: NDArray[np.int64]
    first_box: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WindowLabels:
    """What a window's samples show.

    Attributes:
        boxes_xyxy: float32 Tx4, pixels of the sample.
        labels: int64 T.
        first_box: int64 N+1, where each sample's boxes begin, and the end.
        indices: int64 N, place in the data set of each sample's first picture.
    """

    boxes_xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    first_box: NDArray[np.int64]
    indices: NDArray[np.int64]


class Window:
    """The samples of one window, ready to be drawn.

    Attributes:
        unreadable: path to reason, of the pictures that could not be decoded.
        labels: what the samples show; None when no picture could be decoded, and then nothing can be drawn.
    """

    def __init__(self, task: WindowTask, settings: WindowSettings) -> None:
        """Decode the pictures and plan the samples."""
        self.unreadable: dict[str, str] = {}
        self.labels: WindowLabels | None = None
        self._picture_rule = settings.picture
        self._sources: list[_Source | None] = []
        for path, (height, width) in zip(task.paths, task.sizes_hw.tolist(), strict=True):
            try:
                self._sources.append(_decode_source(Path(path), (height, width), settings))
            except DataError as error:
                self.unreadable[path] = str(error)
                self._sources.append(None)
        if len(self.unreadable) < len(task.paths):
            self._plan(task, settings)

    def draw(self, sample: int, image: Picture) -> None:
        """Draw one sample into its place, uint8 HxWx3."""
        if self._padded[sample]:
            image.fill(self._picture_rule.pad_value)
        for picture, crop_xyxy, target_xyxy in self._pastes[sample]:
            paste(picture, crop_xyxy, image, target_xyxy)
        if self._mirrored[sample]:
            cv2.flip(image, 1, dst=image)
        if self._recoloured[sample]:
            recolour(image, self._colours[sample])

    def _plan(self, task: WindowTask, settings: WindowSettings) -> None:
        """Decide all samples at once: what is pasted where, which colours, which boxes."""
        rule, augment = settings.picture, settings.augment
        height, width = rule.size_hw
        count = len(task.paths)
        rng = np.random.default_rng((settings.seed, task.epoch, 1 + int(task.indices[0])))
        draws = draw(augment, rng, count, mosaic=task.mosaic)

        stand_in = _stand_ins(self._sources)
        sources = [source for index in stand_in if (source := self._sources[index]) is not None]
        fits = np.array([source.fit.matrix for source in sources])
        original_xy = np.array([source.fit.original_hw[::-1] for source in sources], np.float64)
        tiles = lay_out(
            draws,
            original_xy=original_xy,
            fit_scale_xy=fits[:, [0, 1], [0, 1]],
            fit_offset_xy=fits[:, :, 2],
            size_xy=np.array([width, height], np.float64),
        )
        pasting = snap(
            tiles,
            original_xy=original_xy[tiles.source],
            decoded_xy=np.array([source.picture.shape[1::-1] for source in sources])[tiles.source],
            reduction_xy=np.array([source.reduction_xy for source in sources])[tiles.source],
        )

        self._pastes: list[list[tuple[Picture, list[int], list[int]]]] = [[] for _ in range(count)]
        areas = (pasting.targets_xyxy[:, 2:] - pasting.targets_xyxy[:, :2]).prod(axis=1)
        for tile in np.flatnonzero(areas).tolist():
            picture = sources[tiles.source[tile]].picture
            crop_xyxy, target_xyxy = pasting.crops_xyxy[tile].tolist(), pasting.targets_xyxy[tile].tolist()
            self._pastes[tiles.sample[tile]].append((picture, crop_xyxy, target_xyxy))
        self._padded = (np.bincount(tiles.sample, weights=areas, minlength=count) < height * width).tolist()
        self._mirrored = draws.flip.tolist()
        self._recoloured, self._colours = changes_colour(draws).tolist(), colour_matrices(draws)

        counts = np.diff(task.first_box)
        moved = move_boxes(
            tiles,
            pasting,
            task.boxes_xyxy,
            begin=task.first_box[stand_in],
            counts=counts[stand_in],
            flip=draws.flip,
            width=width,
            min_visible=augment.min_visible,
            min_side=augment.min_side,
        )
        self.labels = WindowLabels(
            boxes_xyxy=moved.boxes_xyxy,
            labels=task.labels[moved.source_box],
            first_box=np.searchsorted(moved.sample, np.arange(count + 1)),
            indices=task.indices[stand_in],
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Source:
    """A decoded picture, where the whole original is fitted, and original pixels per decoded pixel."""

    picture: Picture
    fit: Placement
    reduction_xy: tuple[float, float]


def _decode_source(path: Path, stated_hw: tuple[int, int], settings: WindowSettings) -> _Source:
    """Decode a picture no larger than its samples need it."""
    if min(stated_hw) > 0:
        fit = place(stated_hw, settings.picture)
        wanted_hw = _wanted(fit, settings.augment)
        picture = decode(path, smallest_hw=wanted_hw)
        reduction = max(1, round(stated_hw[0] / picture.shape[0]))
        if picture.shape[:2] == (-(-stated_hw[0] // reduction), -(-stated_hw[1] // reduction)):
            return _shrunk(picture, fit, reduction, wanted_hw)
    # The size is not known, or the label file is wrong about it: the picture itself tells.
    picture = decode(path)
    fit = place((picture.shape[0], picture.shape[1]), settings.picture)
    return _shrunk(picture, fit, 1, _wanted(fit, settings.augment))


def _wanted(fit: Placement, augment: AugmentConfig) -> tuple[int, int]:
    """Height and width below which a picture loses detail that its samples may show."""
    enlarge = min(augment.detail, augment.scale[1] * augment.stretch[1])
    (scale_x, _, _), (_, scale_y, _) = fit.matrix.tolist()
    height, width = fit.original_hw
    return max(1, round(height * scale_y * enlarge)), max(1, round(width * scale_x * enlarge))


def _shrunk(picture: Picture, fit: Placement, reduction: int, wanted_hw: tuple[int, int]) -> _Source:
    """Average whole pixels together where there are still too many, so that a window of large PNGs stays small."""
    height, width = picture.shape[:2]
    factor = min(height // wanted_hw[0], width // wanted_hw[1])
    if factor < 2:
        return _Source(picture=picture, fit=fit, reduction_xy=(reduction, reduction))
    smaller = cv2.resize(picture, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return _Source(
        picture=np.asarray(smaller, np.uint8),
        fit=fit,
        reduction_xy=(reduction * width / smaller.shape[1], reduction * height / smaller.shape[0]),
    )


def _stand_ins(sources: Sequence[_Source | None]) -> list[int]:
    """For each of the window's pictures itself, or the next one (around the end) that could be read."""
    count = len(sources)
    return [
        next(index % count for index in range(first, first + count) if sources[index % count] is not None)
        for first in range(count)
    ]
