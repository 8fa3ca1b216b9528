"""A window of samples: decoded once, planned as a whole, drawn one by one into their places. No torch.

Everything is a function of the task and the settings, so any process gives the same pixels. Axes: N samples and as
many pictures, T boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sanderling.data.augment import AugmentConfig, draw
from sanderling.data.transforms.colour import changes_colour, colour_matrices, recolour
from sanderling.data.transforms.geometry import Tiles, move_boxes, paste, snap
from sanderling.data.transforms.layout import lay_out
from sanderling.errors import DataError
from sanderling.pictures import Picture, decode, place
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
        unreadable: path to reason.
    """

    boxes_xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    first_box: NDArray[np.int64]
    indices: NDArray[np.int64]
    unreadable: dict[str, str]


class Window:
    """The samples of one window, ready to be drawn; `labels` says what they show."""

    def __init__(self, task: WindowTask, settings: WindowSettings) -> None:
        rule, augment = settings.picture, settings.augment
        count = len(task.paths)
        self._size_hw, self._pad = rule.size_hw, rule.pad_value
        self.unreadable: dict[str, str] = {}
        self._pictures, sizes_hw, reductions = self._decode(task, rule, augment)
        if not self._pictures:
            return
        stand_in = _stand_ins(count, self._pictures)

        rng = np.random.default_rng((settings.seed, task.epoch, 1 + int(task.indices[0])))
        draws = draw(augment, rng, count, mosaic=task.mosaic)
        fits = np.array([place((height, width), rule).matrix for height, width in sizes_hw[stand_in].tolist()])
        original_xy = sizes_hw[stand_in][:, ::-1].astype(np.float64)
        height, width = rule.size_hw
        tiles = lay_out(
            draws,
            original_xy=original_xy,
            fit_scale_xy=fits[:, [0, 1], [0, 1]],
            fit_offset_xy=fits[:, :, 2],
            size_xy=np.array([width, height], np.float64),
        )
        decoded_xy = np.array([self._pictures[source].shape[1::-1] for source in stand_in.tolist()])
        pasting = snap(
            tiles,
            original_xy=original_xy[tiles.source],
            decoded_xy=decoded_xy[tiles.source],
            reduction_xy=reductions[stand_in][tiles.source],
        )
        # From here on a stand-in's own boxes and pixels are used.
        sources = stand_in[tiles.source]
        tiles = Tiles(
            sample=tiles.sample,
            source=sources,
            scale_xy=tiles.scale_xy,
            offset_xy=tiles.offset_xy,
            limits_xyxy=tiles.limits_xyxy,
        )
        moved = move_boxes(
            tiles,
            pasting,
            task.boxes_xyxy,
            task.first_box,
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
            unreadable=self.unreadable,
        )
        self._flip, self._recolours, self._colours = draws.flip.tolist(), changes_colour(draws).tolist(), colour_matrices(draws)
        sides = pasting.targets_xyxy[:, 2:] - pasting.targets_xyxy[:, :2]
        self._pastes: list[list[tuple[int, list[int], list[int]]]] = [[] for _ in range(count)]
        covered = np.zeros(count, np.int64)
        areas = sides.prod(axis=1)
        np.add.at(covered, tiles.sample, areas)
        self._padded = (covered < height * width).tolist()
        for tile in np.flatnonzero(areas).tolist():
            self._pastes[int(tiles.sample[tile])].append(
                (int(sources[tile]), pasting.crops_xyxy[tile].tolist(), pasting.targets_xyxy[tile].tolist())
            )

    @property
    def readable(self) -> bool:
        """Whether any picture of the window could be decoded; else there is nothing to draw."""
        return bool(self._pictures)

    def draw(self, sample: int, image: Picture) -> None:
        """Draw one sample into its place, uint8 HxWx3."""
        if self._padded[sample]:
            image.fill(self._pad)
        for source, crop_xyxy, target_xyxy in self._pastes[sample]:
            paste(self._pictures[source], crop_xyxy, image, target_xyxy)
        if self._flip[sample]:
            cv2.flip(image, 1, dst=image)
        if self._recolours[sample]:
            recolour(image, self._colours[sample])

    def _decode(
        self, task: WindowTask, rule: PictureRule, augment: AugmentConfig
    ) -> tuple[dict[int, Picture], NDArray[np.int32], NDArray[np.float64]]:
        """The pictures that can be read, the original sizes of all (Nx2), and original pixels per decoded one (Nx2)."""
        enlarge = min(augment.detail, augment.scale[1] * augment.stretch[1])
        pictures: dict[int, Picture] = {}
        sizes_hw, reductions = task.sizes_hw.copy(), np.ones((len(task.paths), 2))
        for index, (path, size) in enumerate(zip(task.paths, task.sizes_hw.tolist(), strict=True)):
            try:
                picture, size_hw, reduction = _decode_reduced(Path(path), (size[0], size[1]), rule, enlarge)
            except DataError as error:
                self.unreadable[path] = str(error)
                continue
            pictures[index], sizes_hw[index], reductions[index] = picture, size_hw, reduction
        return pictures, sizes_hw, reductions


def _decode_reduced(
    path: Path, stated_hw: tuple[int, int], rule: PictureRule, enlarge: float
) -> tuple[Picture, tuple[int, int], tuple[float, float]]:
    """A picture no larger than needed, the size of the original, and original pixels per decoded pixel (x, y)."""
    wanted = (1, 1)
    if min(stated_hw) > 0:
        fit = place(stated_hw, rule).matrix
        wanted = (
            max(1, round(stated_hw[0] * fit[1, 1] * enlarge)),
            max(1, round(stated_hw[1] * fit[0, 0] * enlarge)),
        )
        picture = decode(path, smallest_hw=wanted)
        reduction = max(1, round(stated_hw[0] / picture.shape[0]))
        expected = (-(-stated_hw[0] // reduction), -(-stated_hw[1] // reduction))
        if picture.shape[:2] == expected:
            return picture, stated_hw, (reduction, reduction)
    # The size is not known, or the label file is wrong about it: the picture itself tells.
    picture = decode(path)
    return picture, (picture.shape[0], picture.shape[1]), (1.0, 1.0)


def _stand_ins(count: int, pictures: dict[int, Picture]) -> NDArray[np.int64]:
    """For each of the window's pictures itself, or the next one (around the end) that could be read."""
    return np.array(
        [next(place % count for place in range(index, index + count) if place % count in pictures) for index in range(count)]
    )
