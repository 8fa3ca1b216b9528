"""`data anchors`: the anchors that fit a data set, beside those of a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.commands.data import known_format
from sanderling.commands.open_detector import picture_rule, require_torch
from sanderling.errors import DataError, UsageError

if TYPE_CHECKING:
    from sanderling.structures.artefact import PictureRule

_DEFAULT_COUNT = 9
_ROUNDED = 6
"""Digits of shares and overlaps."""

Levels = tuple[tuple[tuple[float, float], ...], ...]
"""Widths and heights of anchors per level, finest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelAnchors:
    """The anchors that a model has.

    Attributes:
        name: of the model.
        levels: in pixels of the network input.
        takes_anchors: its head can be given others; one that makes its own from scales and ratios cannot.
        mean_best_iou: of the data set's boxes with these anchors.
    """

    name: str
    levels: Levels
    takes_anchors: bool
    mean_best_iou: float

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "mean_best_iou": round(self.mean_best_iou, _ROUNDED),
            "levels": [[[round(side, _ROUNDED) for side in size] for size in level] for level in self.levels],
            "takes_anchors": self.takes_anchors,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class AnchorsResult:
    """Anchors fitted to one split; without times and paths, so that equal calls give equal bytes.

    Attributes:
        data: name of the data set.
        split: that was fitted to.
        size_hw: height and width of the network input.
        resize: how pictures are fitted to it.
        seed: of the clustering.
        boxes: that were fitted to.
        left_out: crowd regions, boxes without a size, and boxes of pictures of unknown size.
        shapes: that were clustered: the different ones, or fewer where nearly equal ones were joined.
        anchors: widths and heights by rising area, pixels of the network input.
        shares: of the boxes whose best anchor each is.
        mean_best_iou: of each box with its best anchor.
        model: its own anchors, None where no model was named.
        levels: the anchors dealt to the model's levels; None without a model whose head takes anchors.
    """

    data: str
    split: str
    size_hw: tuple[int, int]
    resize: str
    seed: int
    boxes: int
    left_out: int
    shapes: int
    anchors: tuple[tuple[float, float], ...]
    shares: tuple[float, ...]
    mean_best_iou: float
    model: ModelAnchors | None
    levels: Levels | None

    @property
    def setting(self) -> str | None:
        """What `train --set` takes to use the anchors; None where `levels` is."""
        if self.levels is None:
            return None
        return f"model.head.anchors={json.dumps(self.levels, separators=(',', ':'))}"

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "data": self.data,
            "split": self.split,
            "input": list(self.size_hw),
            "resize": self.resize,
            "seed": self.seed,
            "boxes": self.boxes,
            "left_out": self.left_out,
            "shapes": self.shapes,
            "mean_best_iou": round(self.mean_best_iou, _ROUNDED),
            "anchors": [
                {"width": width, "height": height, "share": round(share, _ROUNDED)}
                for (width, height), share in zip(self.anchors, self.shares, strict=True)
            ],
            "model": None if self.model is None else self.model.to_plain(),
            "levels": self.levels,
            "setting": self.setting,
        }


def anchors(
    path: str | Path,
    *,
    imgsz: int | Sequence[int] | None = None,
    seed: int = 0,
    model: str | None = None,
    split: str = "train",
    count: int | None = None,
    resize: str | None = None,
    data_format: str | None = None,
) -> AnchorsResult:
    """Fit anchors to the boxes of a data set at the size at which a network sees them.

    Args:
        path: a COCO JSON, a YOLO data.yaml, a VOC folder, or a folder that holds one of them.
        imgsz: side of the network input, or height and width; by default the model's own. With a model it is rounded
            up to its stride.
        seed: the same seed gives the same anchors.
        model: to compare with its anchors and to deal the new ones to its levels; needs torch. A name of the zoo or of
            a recipe, a `run.yaml`, a run folder or a weights file.
        split: whose boxes.
        count: how many anchors; by default as many as the model has, else 9.
        resize: `letterbox` or `stretch`; by default the model's own, else letterbox.
        data_format: coco, yolo or voc, where a folder holds several.

    Raises:
        UsageError: no size is stated, an unknown model or split, a model without anchors, or a count that its levels
            cannot share.
        DataError: the data set cannot be read or has too few boxes.
        ModelError: the model is a file that cannot be used.
        MissingDependencyError: a model is named and torch is not installed.

    >>> anchors("data/bccd", imgsz=320, seed=0, model="yolov3-tiny").setting  # doctest: +SKIP
    'model.head.anchors=[[[18.02,17.96],...]]'
    """
    import numpy as np

    from sanderling.datasets.anchors import best_anchor, box_sizes, fit_anchors, split_over_levels
    from sanderling.datasets.locate import open_dataset

    own = None if model is None else _own_anchors(model, imgsz=imgsz, resize=resize)
    rule = _stated_rule(imgsz, resize) if own is None else own.rule
    counts = _counts(count, own)
    dataset = open_dataset(Path(path), split=split, data_format=known_format(data_format))
    sizes_wh = box_sizes(dataset, rule)
    if not len(sizes_wh):
        raise DataError(
            f"{dataset.name}: the split {dataset.split!r} has no boxes to fit anchors to; name another with --split"
        )
    fitted = fit_anchors(sizes_wh, sum(counts), seed=seed)
    compared, levels = None, None
    if own is not None:
        overlap = best_anchor(sizes_wh, np.array([size for level in own.levels for size in level]))[1]
        compared = ModelAnchors(
            name=own.name,
            levels=own.levels,
            takes_anchors=own.takes_anchors,
            mean_best_iou=float(overlap.mean()),
        )
        levels = split_over_levels(fitted.sizes_wh, counts) if own.takes_anchors else None
    return AnchorsResult(
        data=dataset.name,
        split=dataset.split,
        size_hw=rule.size_hw,
        resize=rule.resize,
        seed=seed,
        boxes=len(sizes_wh),
        left_out=len(dataset.boxes_xyxy) - len(sizes_wh),
        shapes=fitted.shapes,
        anchors=tuple((width, height) for width, height in fitted.sizes_wh.tolist()),
        shares=tuple(fitted.shares.tolist()),
        mean_best_iou=fitted.mean_best_iou,
        model=compared,
        levels=levels,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _OwnAnchors:
    """A model's anchors at the input size that was asked for; the fields are those of `ModelAnchors`."""

    name: str
    rule: PictureRule
    levels: Levels
    takes_anchors: bool


def _own_anchors(model: str, *, imgsz: int | Sequence[int] | None, resize: str | None) -> _OwnAnchors:
    require_torch("comparing with the anchors of a model")
    import torch

    from sanderling.commands.models import config_of
    from sanderling.models.heads.ssd import SsdHead
    from sanderling.models.heads.yolo import YoloHead
    from sanderling.ops.tensor.ssd_anchors import ssd_priors

    config = config_of(model)
    # Only its structure is asked for.
    with torch.device("meta"):
        network = config.build()
    rule = picture_rule(config.picture, imgsz=imgsz, resize=resize, stride=network.stride)
    head = network.head
    if isinstance(head, YoloHead):
        return _OwnAnchors(name=config.name, rule=rule, levels=head.anchors, takes_anchors=True)
    if isinstance(head, SsdHead):
        # What it lays into the only cell of a level.
        priors = [ssd_priors(rule.size_hw, [(1, 1)], [level], device=torch.device("cpu")) for level in head.anchors]
        levels = tuple(tuple((width, height) for width, height in level[:, 2:].tolist()) for level in priors)
        return _OwnAnchors(name=config.name, rule=rule, levels=levels, takes_anchors=False)
    raise UsageError(
        f"model = {model!r}: its head is of kind {config.head.kind!r} and has no anchors to compare with; name a model "
        "with a head of kind 'yolo' or 'ssd', or leave --model out"
    )


def _stated_rule(imgsz: int | Sequence[int] | None, resize: str | None) -> PictureRule:
    from sanderling.structures.artefact import PictureRule

    if imgsz is None:
        raise UsageError(
            "imgsz is not stated: anchors are sizes at the network input; state it with --imgsz, or name a --model"
        )
    return picture_rule(PictureRule(), imgsz=imgsz, resize=resize, stride=1)


def _counts(count: int | None, own: _OwnAnchors | None) -> list[int]:
    """How many anchors each level gets; one level where no head takes them."""
    if own is None:
        return [_DEFAULT_COUNT if count is None else count]
    counts = [len(level) for level in own.levels]
    if count is None or count == sum(counts):
        return counts
    if not own.takes_anchors:
        return [count]
    if count < len(counts) or count % len(counts):
        raise UsageError(
            f"count = {count}: {own.name} has {len(counts)} levels, each needs as many anchors as the others; "
            f"use {max(1, round(count / len(counts))) * len(counts)}"
        )
    return [count // len(counts)] * len(counts)
