"""All samples of a window decided at once: what is pasted where, what is mixed, which colours, which boxes. No torch.

Every kind of variation has random numbers of its own, so that none changes what the others draw. Axes: N samples of
the window and as many pictures; S samples to be drawn, the N and behind them the second samples of mixtures; T boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sanderling.data.augment import AugmentConfig, draw, draw_turns, joined
from sanderling.data.effects import Effects
from sanderling.data.mixing import Mixture, draw_mixtures, mix_boxes
from sanderling.data.source import Source
from sanderling.data.transforms.auto_augment import GREY, DrawnPolicy, draw_policy
from sanderling.data.transforms.colour import changes_colour, colour_matrices
from sanderling.data.transforms.fill import Fill
from sanderling.data.transforms.frame import draw_frames
from sanderling.data.transforms.geometry import Pasting, Tiles, move_boxes, snap
from sanderling.data.transforms.layout import Plan, lay_out
from sanderling.pictures import Picture
from sanderling.structures.artefact import PictureRule

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MIXING, _FRAMES, _TURNS, _EFFECTS = 1, 2, 3, 4
"""Numbers of the kinds of variation; the oldest have none."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
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
        draw_key: what its random numbers go by, above 0; every window of an epoch has its own.
        mosaic: False leaves mosaic out.
        progress: how much of the run is over, 0..1.
        marked: bool NxGxG, cells over each picture that are cut out of a sample that shows it alone; None without.
        samples_hw: int64 Nx2, height and width of the samples.
        indices: int64 N, the pictures' places in the data set.
        paths: N files.
        sizes_hw: int32 Nx2, (0, 0) where not known.
        boxes_xyxy: float64 Tx4, original pixels.
        labels: int64 T.
        first_box: int64 N+1, where each picture's boxes begin, and the end.
    """

    epoch: int
    draw_key: int
    mosaic: bool
    progress: float
    marked: NDArray[np.bool_] | None
    samples_hw: Ints
    indices: Ints
    paths: tuple[str, ...]
    sizes_hw: NDArray[np.int32]
    boxes_xyxy: Floats
    labels: Ints
    first_box: Ints


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WindowLabels:
    """What a window's samples show.

    Attributes:
        boxes_xyxy: float32 Tx4, pixels of the sample.
        labels: int64 T.
        weights: float32 T, share of the loss of each box, below 1 where samples were mixed.
        first_box: int64 N+1, where each sample's boxes begin, and the end.
        indices: int64 N, place in the data set of each sample's first picture.
        placements: float64 Nx2x3, the first picture's corners (0..1 along its sides) to pixels of the sample; NaN where
            the sample shows several pictures.
    """

    boxes_xyxy: NDArray[np.float32]
    labels: Ints
    weights: NDArray[np.float32]
    first_box: Ints
    indices: Ints
    placements: Floats


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Paste:
    """One tile: a crop that is resized, or, with a matrix, the whole picture warped."""

    picture: Picture
    matrix: Floats | None
    crop_xyxy: list[int]
    target_xyxy: list[int]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WindowPlan:
    """How the samples of a window are drawn.

    Attributes:
        pastes: S lists.
        borders: S colours that the tiles leave open, None where they leave nothing.
        mirrored: S.
        mixtures: of the samples that are mixed.
        effects: N, what happens after drawing.
        labels: what the samples show.
    """

    pastes: list[list[Paste]]
    borders: list[Fill | None]
    mirrored: list[bool]
    mixtures: dict[int, Mixture]
    effects: list[Effects]
    labels: WindowLabels


def _seed(task: WindowTask, settings: WindowSettings, *kind: int) -> tuple[int, ...]:
    """Where the random numbers of one kind of variation in a window begin."""
    return settings.seed, task.epoch, task.draw_key, *kind


def plan_window(
    task: WindowTask, settings: WindowSettings, sources: Sequence[Source], pictures: Sequence[int]
) -> WindowPlan:
    """Decide everything that is drawn by lot.

    Args:
        task: the window.
        settings: of the run.
        sources: N decoded pictures, stand-ins among them.
        pictures: N, which of the task's pictures each of them is.
    """
    augment, count = settings.augment, len(sources)
    original_xy = np.array([source.original_hw[::-1] for source in sources], np.float64)
    counts = np.diff(task.first_box)[list(pictures)]
    begin = task.first_box[list(pictures)]
    boxes_of = [task.boxes_xyxy[start : start + size] for start, size in zip(begin, counts, strict=True)]

    mixing = np.random.default_rng(_seed(task, settings, _MIXING))
    mixtures = draw_mixtures(augment.mixup, augment.cutmix, mixing, task.samples_hw, progress=task.progress)
    owners = np.array([*range(count), *mixtures], np.int64)
    first = np.array([*range(count), *(mixture.partner for mixture in mixtures.values())], np.int64)
    draws = draw(augment, np.random.default_rng(_seed(task, settings)), count, mosaic=task.mosaic)
    draws = joined(draws, draw(augment, mixing, len(mixtures), mosaic=False))
    draws.mosaic[list(mixtures)] = False
    frames = draw_frames(
        augment.expand,
        augment.crop,
        np.random.default_rng(_seed(task, settings, _FRAMES)),
        original_xy[first],
        [boxes_of[picture] for picture in first.tolist()],
    )
    size_xy = task.samples_hw[owners][:, ::-1].astype(np.float64)
    turning = np.random.default_rng(_seed(task, settings, _TURNS))
    turns = draw_turns(augment, turning, len(first))
    policies: list[DrawnPolicy | None] = [None] * len(first)
    if augment.auto_augment is not None:
        policies = [draw_policy(augment.auto_augment, turning) for _ in policies]
        turns = _moved_on(turns, policies, size_xy)
    tiles = lay_out(
        Plan(
            pictures=np.column_stack([first, draws.partners]),
            tiles=np.where(draws.mosaic, augment.mosaic_tiles, 1),
            frames_xyxy=frames.xyxy,
            turns=turns,
            size_xy=size_xy,
        ),
        draws,
        original_xy=original_xy,
        resize=settings.picture.resize,
    )
    pasting = snap(
        tiles,
        original_xy=original_xy[tiles.source],
        decoded_xy=np.array([source.picture.shape[1::-1] for source in sources])[tiles.source],
        reduction_xy=np.array([source.reduction_xy for source in sources])[tiles.source],
    )
    moved = move_boxes(
        tiles,
        pasting,
        task.boxes_xyxy,
        begin=begin,
        counts=counts,
        flip=draws.flip,
        width=size_xy[:, 0],
        centred=frames.cropped & ~draws.mosaic,
        min_visible=augment.min_visible,
        min_side=augment.min_side,
    )
    mixed = mix_boxes(
        moved.boxes_xyxy,
        moved.sample,
        mixtures,
        min_visible=augment.min_visible,
        min_side=augment.min_side,
        outlines=moved.outlines,
    )
    filled = np.bincount(tiles.sample, weights=_areas(pasting) * ~tiles.tilted, minlength=len(owners))
    colours, changed = colour_matrices(draws), changes_colour(draws)
    placements = _placements(
        tiles, pasting, original_xy=original_xy, flip=draws.flip, width=size_xy[:, 0], mixed=list(mixtures)
    )
    marked = None if task.marked is None else task.marked[list(pictures)]
    return WindowPlan(
        pastes=_pastes(tiles, pasting, sources, len(owners)),
        borders=_borders(settings, frames.expanded & ~draws.mosaic, policies, filled >= size_xy.prod(axis=1)),
        mirrored=draws.flip.tolist(),
        mixtures=mixtures,
        effects=[
            Effects(
                colour=colours[sample] if changed[sample] else None,
                policy=policies[sample],
                marked=None if marked is None or np.isnan(placements[sample, 0, 0]) else marked[sample],
                placement=placements[sample],
                seed=_seed(task, settings, _EFFECTS, sample),
            )
            for sample in range(count)
        ],
        labels=WindowLabels(
            boxes_xyxy=mixed.boxes_xyxy,
            labels=task.labels[moved.source_box[mixed.source_box]],
            weights=mixed.weights,
            first_box=np.searchsorted(mixed.sample, np.arange(count + 1)),
            indices=task.indices[list(pictures)],
            placements=placements[:count],
        ),
    )


def _moved_on(turns: Floats, policies: Sequence[DrawnPolicy | None], size_xy: Floats) -> Floats:
    """Turns Sx2x3 (about the middle) with the moves of AutoAugment behind them."""
    moved = turns.copy()
    for turn, policy, (width, height) in zip(moved, policies, size_xy.astype(int).tolist(), strict=True):
        if policy is not None and policy.moves:
            move, middle = policy.matrix((height, width)), np.array([width, height]) / 2
            turn[:, 2] = move[:2, :2] @ turn[:, 2] + move[:2, 2] + move[:2, :2] @ middle - middle
            turn[:, :2] = move[:2, :2] @ turn[:, :2]
    return moved


def _borders(
    settings: WindowSettings,
    expanded: NDArray[np.bool_],
    policies: Sequence[DrawnPolicy | None],
    full: NDArray[np.bool_],
) -> list[Fill | None]:
    """The colour around the tiles of each of S samples, None where they fill it."""
    augment, borders = settings.augment, list[Fill | None]()
    for sample, policy in enumerate(policies):
        if full[sample]:
            borders.append(None)
        elif policy is not None and policy.moves:
            borders.append(GREY)
        elif augment.expand is not None and expanded[sample]:
            borders.append(augment.expand.fill)
        else:
            borders.append(settings.picture.pad_value)
    return borders


def _areas(pasting: Pasting) -> Ints:
    """Pixels of each target."""
    sides = pasting.targets_xyxy[:, 2:] - pasting.targets_xyxy[:, :2]
    return np.asarray(sides.prod(axis=1))


def _pastes(tiles: Tiles, pasting: Pasting, sources: Sequence[Source], samples: int) -> list[list[Paste]]:
    pastes: list[list[Paste]] = [[] for _ in range(samples)]
    for tile in np.flatnonzero(_areas(pasting)).tolist():
        source = sources[tiles.source[tile]]
        matrix = None
        if tiles.tilted[tile]:
            # From decoded pixels, of which there may be fewer than original ones.
            matrix = pasting.matrices[tile] * (*source.reduction_xy, 1)
        pastes[tiles.sample[tile]].append(
            Paste(
                picture=source.picture,
                matrix=matrix,
                crop_xyxy=pasting.crops_xyxy[tile].tolist(),
                target_xyxy=pasting.targets_xyxy[tile].tolist(),
            )
        )
    return pastes


def _placements(
    tiles: Tiles, pasting: Pasting, *, original_xy: Floats, flip: NDArray[np.bool_], width: Floats, mixed: list[int]
) -> Floats:
    """Sx2x3, from shares of the picture's sides to pixels of the sample, NaN where there are several pictures."""
    only = np.bincount(tiles.sample) == 1
    first = np.searchsorted(tiles.sample, np.arange(len(only)))
    placements = pasting.matrices[first].copy()
    placements[:, :, :2] *= original_xy[tiles.source[first]][:, None]
    placements[flip, 0] *= -1
    placements[flip, 0, 2] += width[flip]
    only[mixed] = False
    placements[~only] = np.nan
    return placements
