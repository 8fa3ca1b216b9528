"""What teaches a YOLO head: the best anchor of each box learns box, objectness and class, all others "nothing here".

YOLOv3, https://arxiv.org/abs/1804.02767, in the forms that PaddleDetection, darknet, PP-YOLO and YOLO-ReT gave it.
Axes: B pictures, A points, C classes, P positive points of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sanderling.errors import ModelError
from sanderling.objectives.assigners.best_anchor import AnchorAssignment, assign_best_anchor, overlaps_a_target
from sanderling.objectives.losses.hard_negatives import HardNegatives
from sanderling.objectives.losses.iou_family import IouForm, iou_family_loss
from sanderling.ops.tensor.coding import YoloCoding
from sanderling.ops.tensor.divisors import shared_divisor
from sanderling.ops.tensor.iou import aligned_iou, area
from sanderling.structures.batch import Targets
from sanderling.structures.predictions import Predictions

Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class YoloObjectiveConfig:
    """Forms and weights of the losses and reach of the assigner; the defaults are PaddleDetection's YOLOv3.

    >>> YoloObjectiveConfig.ppyolo().iou
    'iou_squared'
    """

    kind: Literal["yolo"] = "yolo"
    centre: Literal["bce", "l1", "none"] = "bce"
    """Of the sigmoids x and y: cross-entropy, or the difference in cells (PaddleDetection, if grid sensitive)."""
    size: Literal["l1", "l2", "none"] = "l1"
    """Of the raw w and h: difference, or half of its square."""
    iou: Literal["none"] | IouForm = "none"
    small_box_factor: bool = True
    """Losses of the box count 2 - width * height times, in shares of the picture."""
    centre_weight: Weight = 1.0
    size_weight: Weight = 1.0
    iou_weight: Weight = 1.0
    iou_aware_weight: Weight = 1.0
    """Of the predicted IoU, where the head has one."""
    objectness_weight: Weight = 1.0
    class_weight: Weight = 1.0
    label_smoothing: bool = False
    """Classes are taught 1 - d and d with d = min(1 / C, 1 / 40)."""
    ignore_iou: Share = 0.7
    """A negative whose box overlaps an object by more than this counts for nothing."""
    match_iou: Share | None = None
    """Beside the best anchor, those whose shape overlaps the box by more than this are positive."""
    hard_negatives: HardNegatives | None = None
    """Only the hardest negatives of each picture teach objectness; null lets all of them, as published."""

    @classmethod
    def paddle(cls, *, label_smoothing: bool = False) -> YoloObjectiveConfig:
        """YOLOv3 in PaddleDetection; label smoothing was on for COCO in its 0.x and is off in 2.x."""
        return cls(label_smoothing=label_smoothing)

    @classmethod
    def darknet(cls, *, ignore_iou: float = 0.7) -> YoloObjectiveConfig:
        """YOLOv3 in darknet: what its deltas are the gradients of (half squares, and cross-entropy for x and y)."""
        return cls(size="l2", ignore_iou=ignore_iou)

    @classmethod
    def yolov4(cls, *, iou_weight: float = 0.07, ignore_iou: float = 0.7) -> YoloObjectiveConfig:
        """YOLOv4 and YOLOv4-tiny in darknet: boxes by CIoU alone, `iou_normalizer` 0.07."""
        return cls(
            centre="none",
            size="none",
            iou="ciou",
            small_box_factor=False,
            iou_weight=iou_weight,
            ignore_iou=ignore_iou,
        )

    @classmethod
    def ppyolo(cls, *, ignore_iou: float = 0.7, match_iou: float | None = None) -> YoloObjectiveConfig:
        """PP-YOLO: 2.5 * (1 - IoU**2) beside the differences.

        The MobileNetV3 ones ignore from 0.5 on and match from 0.25 on, PP-YOLO-tiny ignores from 0.5 on.
        """
        return cls(centre="l1", iou="iou_squared", iou_weight=2.5, ignore_iou=ignore_iou, match_iou=match_iou)

    @classmethod
    def yoloret(cls) -> YoloObjectiveConfig:
        """YOLO-ReT: boxes by GIoU alone, ignore from 0.5 on."""
        return cls(centre="none", size="none", iou="giou", small_box_factor=False, ignore_iou=0.5)

    def build(self) -> YoloObjective:
        """Make the objective."""
        return YoloObjective(self)


class YoloObjective:
    """Call it with predictions and targets; it keeps nothing between calls."""

    box_terms: ClassVar[tuple[str, ...]] = ("centre", "size", "iou")
    """Losses that teach where a box is, whichever of them the form has."""
    means_over_pictures: ClassVar[bool] = True

    def __init__(self, config: YoloObjectiveConfig) -> None:
        self.config = config

    def __call__(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        """Weighted scalar losses `centre`, `size`, `iou` (those that the form has), `iou_aware` (where the head
        predicts an IoU), `objectness` and `class`; their sum is the loss of the batch.

        Each is summed over the points of a picture and averaged over the pictures, of all processes. The weights of
        the targets multiply what positives say; where several boxes claim one point it learns the box of the last and
        the classes of all. Computed in float32, under autocast too, and in float64 for predictions in float64.

        Raises:
            ModelError: it is another kind of head.
        """
        with torch.autocast(predictions.class_logits.device.type, enabled=False):
            return self._losses(predictions, targets)

    def _losses(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        config = self.config
        if predictions.objectness_logits is None or not isinstance(predictions.coding, YoloCoding):
            raise ModelError(
                f"task.objective.kind: yolo teaches heads of kind yolo, but this one codes boxes as "
                f"{type(predictions.coding).__name__} and says "
                f"{'no ' if predictions.objectness_logits is None else ''}objectness; choose the objective of its head"
            )
        coding, priors, strides = predictions.coding, predictions.priors_cxcywh, predictions.strides
        box_logits, objectness_logits = _full(predictions.box_logits), _full(predictions.objectness_logits)
        with torch.no_grad():
            assigned = assign_best_anchor(targets, priors, strides, predictions.size_hw, iou_threshold=config.match_iou)
            decoded = coding.decode(box_logits, priors, strides)
            background = ~overlaps_a_target(decoded, targets, above=config.ignore_iou)
            background[assigned.pictures, assigned.points] = False
            pictures = shared_divisor(torch.tensor(float(targets.pictures), device=strides.device))

        at = (assigned.pictures, assigned.points)
        share = targets.weights[assigned.boxes]
        nothing_here = F.softplus(objectness_logits)
        if config.hard_negatives is not None:
            positives = torch.bincount(assigned.pictures, minlength=targets.pictures)
            background = config.hard_negatives.chosen(nothing_here, background, positives)
        objectness = (nothing_here * background).sum()
        objectness = objectness + (F.softplus(-objectness_logits[at]) * share).sum()
        classes = self._class_losses(_full(predictions.class_logits)[at], assigned, targets)
        losses = {
            **self._box_losses(predictions, coding, box_logits[at], assigned, targets),
            "objectness": config.objectness_weight * objectness,
            "class": config.class_weight * (classes * share).sum(),
        }
        return {name: loss / pictures for name, loss in losses.items()}

    def _box_losses(
        self,
        predictions: Predictions,
        coding: YoloCoding,
        numbers: Tensor,
        assigned: AnchorAssignment,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """Sums over the positive points, whose numbers (P, 4) are given."""
        config = self.config
        share = targets.weights[assigned.boxes]
        wanted_xyxy = targets.boxes_xyxy[assigned.boxes]
        priors, strides = predictions.priors_cxcywh[assigned.points], predictions.strides[assigned.points]
        wanted = coding.encode(wanted_xyxy, priors, strides).to(numbers.dtype)
        factor = share
        if config.small_box_factor:
            height, width = predictions.size_hw
            factor = share * (2 - area(wanted_xyxy) / (height * width))
        losses = {}
        if config.centre == "bce":
            centre = F.binary_cross_entropy_with_logits(numbers[:, :2], wanted[:, :2], reduction="none")
            losses["centre"] = config.centre_weight * (centre.sum(1) * factor).sum()
        elif config.centre == "l1":
            centre = (numbers[:, :2].sigmoid() - wanted[:, :2]).abs() * coding.scales(strides)
            losses["centre"] = config.centre_weight * (centre.sum(1) * factor).sum()
        if config.size != "none":
            differences = numbers[:, 2:] - wanted[:, 2:]
            size = differences.abs() if config.size == "l1" else differences.square() / 2
            losses["size"] = config.size_weight * (size.sum(1) * factor).sum()
        boxes_xyxy = coding.decode(numbers, priors, strides)
        if config.iou != "none":
            loss, _ = iou_family_loss(boxes_xyxy, wanted_xyxy, config.iou)
            losses["iou"] = config.iou_weight * (loss * factor).sum()
        if predictions.iou_logits is not None:
            said = _full(predictions.iou_logits)[assigned.pictures, assigned.points]
            iou = aligned_iou(boxes_xyxy.detach(), wanted_xyxy).to(said.dtype)
            aware = F.binary_cross_entropy_with_logits(said, iou, reduction="none")
            losses["iou_aware"] = config.iou_aware_weight * (aware * share).sum()
        return losses

    def _class_losses(self, logits: Tensor, assigned: AnchorAssignment, targets: Targets) -> Tensor:
        """Cross-entropy (P) over the classes of the positive points' logits (P, C)."""
        wanted = torch.zeros_like(logits)
        wanted[assigned.claimed, targets.labels[assigned.claimants]] = 1
        if self.config.label_smoothing:
            smooth = min(1 / logits.shape[1], 1 / 40)
            wanted = wanted * (1 - 2 * smooth) + smooth
        return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(1)


def _full(logits: Tensor) -> Tensor:
    """In float32, or in float64 if it is."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
