"""Proof that an artefact says what its model says, on real pictures at the artefact's own input size.

Axes: A points, C classes, N, M detections.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sanderling import pictures as picture_path
from sanderling.errors import ExportError
from sanderling.export.graph import CANDIDATES
from sanderling.export.lowered import same_lowered
from sanderling.models.network import DetectorNetwork
from sanderling.ops.array.boxes import iou
from sanderling.ops.array.postprocess import postprocess
from sanderling.ops.tensor.decode import decode
from sanderling.runtimes.layouts import rule_after_graph
from sanderling.structures.artefact import Artefact, GreedyNms, Parity, PostprocessRule
from sanderling.structures.detections import Detections

Floats = NDArray[np.float32]

# A point counts as soon as either side gives it this much: far below every threshold that is used.
_LOWEST_SCORE = 0.01
# In a picture where none does (an untrained network) the best ones count, so that a comparison is never empty.
_LEAST_POINTS = 100
_BATCH = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Tolerance:
    """How far an artefact may be from its model."""

    box_px: float
    score: float


TOLERANCES = {"onnx": Tolerance(box_px=0.05, score=1e-4)}
"""By engine, in full precision."""


class ExportedDetector(Protocol):
    """An artefact loaded into its runtime."""

    artefact: Artefact

    def network(self, images: Floats) -> tuple[Floats, Floats]:
        """Images (1, 3, H, W), RGB 0..255, to boxes_xyxy (1, A, 4) in input pixels and scores (1, A, C)."""
        ...


def measure_parity(
    network: DetectorNetwork, exported: ExportedDetector, pictures: Sequence[NDArray[np.uint8]], tolerance: Tolerance
) -> Parity:
    """Compare an artefact with the network that it was exported from.

    Where suppression lowers scores, a tie that rounding breaks the other way changes the scores of many. Detections are
    compared after greedy suppression then; scores that the graph itself has lowered, with the range they can have.

    Args:
        network: in eval mode, on the processor.
        exported: the artefact in its runtime.
        pictures: uint8 HxWx3 RGB of any size.
        tolerance: what still counts as the same detection.
    """
    artefact = exported.artefact
    rule = _steady_rule(artefact)
    points = found = 0
    box_difference = score_difference = 0.0
    equal = True
    for outputs in _both(network, exported, pictures):
        ours = _detections(*outputs[:2], artefact, rule)
        theirs = _detections(*outputs[2:], artefact, rule_after_graph(artefact, rule))
        if rule.suppression.kind == "matrix":
            equal &= same_lowered(
                *outputs[:2],
                theirs,
                rule=rule,
                most=CANDIDATES,
                box_tolerance=tolerance.box_px,
                score_tolerance=tolerance.score,
            )
        else:
            equal &= same_detections(ours, theirs, rule=rule, tolerance=tolerance)
        found += len(ours)
        # Suppressed inside the graph: what is left of its points are the detections.
        compared = _of_pairs(ours, theirs, tolerance) if artefact.layout == "nms" else outputs
        points_here, box, score = _differences(*compared)
        points += points_here
        box_difference, score_difference = max(box_difference, box), max(score_difference, score)
    return Parity(
        pictures=len(pictures),
        points=points,
        max_box_difference_px=box_difference,
        max_score_difference=score_difference,
        detections=found,
        detections_equal=equal,
    )


def require_parity(parity: Parity, tolerance: Tolerance, *, name: str) -> None:
    """Refuse an artefact that is too far from its model.

    Raises:
        ExportError: a difference above the tolerance, or other detections.
    """
    bounds = (
        ("boxes differ by", parity.max_box_difference_px, tolerance.box_px, "px"),
        ("scores differ by", parity.max_score_difference, tolerance.score, ""),
    )
    for what, difference, most, unit in bounds:
        if not difference <= most:
            raise ExportError(
                f"{name}: {what} up to {difference:.3g} {unit}".rstrip()
                + f" from the model on {parity.pictures} pictures; at most {most:g} {unit}".rstrip()
                + " is allowed: nothing was written. Check the weights for huge or missing numbers, then try again"
            )
    if not parity.detections_equal:
        raise ExportError(
            f"{name}: gives other detections than the model on {parity.pictures} pictures, although every point "
            "agrees; nothing was written. Try other pictures with --pictures, or report the model"
        )


def same_detections(ours: Detections, theirs: Detections, *, rule: PostprocessRule, tolerance: Tolerance) -> bool:
    """Whether two detectors found the same, box by box.

    A detection that only one of them has is forgiven where the rule itself could fall either way within the
    tolerance: at the score threshold, at the end of a full list, where two overlapping boxes tie, and where two boxes
    overlap by just what the rule allows. So is what follows from one that is forgiven: what it suppresses.
    """
    pairs = _pairs(ours, theirs, tolerance)
    left = [
        (float(mine.scores[index]), side, int(index))
        for side, mine in enumerate((ours, theirs))
        for index in np.setdiff1d(np.arange(len(mine)), pairs[:, side])
    ]
    forgiven: tuple[list[int], list[int]] = ([], [])
    for _, side, index in sorted(left, reverse=True):
        mine, others = (ours, theirs) if side == 0 else (theirs, ours)
        if not _could_fall_either_way(mine, others, index, forgiven[1 - side], rule=rule, tolerance=tolerance):
            return False
        forgiven[side].append(index)
    return True


def _steady_rule(artefact: Artefact) -> PostprocessRule:
    """The artefact's rule, with greedy suppression where the graph leaves suppression to the runtime."""
    if artefact.layout == "nms":
        return artefact.postprocess
    return dataclasses.replace(artefact.postprocess, suppression=GreedyNms())


def _both(
    network: DetectorNetwork, exported: ExportedDetector, pictures: Sequence[NDArray[np.uint8]]
) -> Iterator[tuple[Floats, Floats, Floats, Floats]]:
    """Per picture the model's boxes (A, 4) and scores (A, C), then the artefact's."""
    artefact = exported.artefact
    # Where the batch may vary, it does.
    together = _BATCH if artefact.dynamic_batch else 1
    for start in range(0, len(pictures), together):
        canvases = [picture_path.fit(picture, artefact.picture)[0] for picture in pictures[start : start + together]]
        images = np.ascontiguousarray(np.stack(canvases).transpose(0, 3, 1, 2), np.float32)
        with torch.inference_mode():
            boxes, scores = decode(network(torch.from_numpy(images)))
        yield from zip(boxes.numpy(), scores.numpy(), *exported.network(images), strict=True)


def _could_fall_either_way(
    mine: Detections,
    others: Detections,
    index: int,
    forgiven: list[int],
    *,
    rule: PostprocessRule,
    tolerance: Tolerance,
) -> bool:
    """Whether it says nothing against the others that they lack one of mine; some that I lack are forgiven them."""
    score, box = mine.scores[index], mine.boxes_xyxy[index]
    if score <= rule.score + tolerance.score:
        return True
    if len(others) >= rule.max_detections and score <= others.scores[-1] + tolerance.score:
        return True
    overlaps = iou(box[None], others.boxes_xyxy)[0]
    rivals = np.ones(len(others), bool) if rule.class_agnostic else others.labels == mine.labels[index]
    rivals &= others.scores >= score - tolerance.score
    ties = (np.abs(others.scores - score) <= tolerance.score) & (overlaps > rule.iou)
    # Four edges that are off by the tolerance change an overlap by about this.
    shortest = np.minimum(
        (box[2:] - box[:2]).min(), (others.boxes_xyxy[:, 2:] - others.boxes_xyxy[:, :2]).min(axis=1, initial=np.inf)
    )
    limit = np.abs(overlaps - rule.iou) <= 4 * tolerance.box_px / np.maximum(shortest, 1e-6)
    follows = np.isin(np.arange(len(others)), forgiven) & (overlaps > rule.iou)
    return bool((rivals & (ties | limit | follows)).any())


def _pairs(ours: Detections, theirs: Detections, tolerance: Tolerance) -> NDArray[np.int64]:
    """Indices (N, 2) of detections that are the same within the tolerance, each used once."""
    free = np.ones(len(theirs), bool)
    pairs = []
    for index in range(len(ours)):
        alike = free & (theirs.labels == ours.labels[index])
        alike &= np.abs(theirs.scores - ours.scores[index]) <= tolerance.score
        alike &= np.abs(theirs.boxes_xyxy - ours.boxes_xyxy[index]).max(1, initial=0) <= tolerance.box_px
        if alike.any():
            partner = int(alike.argmax())
            free[partner] = False
            pairs.append((index, partner))
    return np.array(pairs, np.int64).reshape(-1, 2)


def _of_pairs(ours: Detections, theirs: Detections, tolerance: Tolerance) -> tuple[Floats, Floats, Floats, Floats]:
    """Boxes (N, 4) and scores (N, 1) of the detections that both have, ours first."""
    pairs = _pairs(ours, theirs, tolerance)
    mine, others = ours.select(pairs[:, 0]), theirs.select(pairs[:, 1])
    return mine.boxes_xyxy, mine.scores[:, None], others.boxes_xyxy, others.scores[:, None]


def _differences(boxes: Floats, scores: Floats, their_boxes: Floats, their_scores: Floats) -> tuple[int, float, float]:
    """Points that count and the largest difference of their boxes and scores; NaN counts as infinite."""
    best = np.maximum(scores.max(1, initial=0), their_scores.max(1, initial=0))
    count = best > _LOWEST_SCORE
    if not count.any():
        count[np.argsort(-best)[:_LEAST_POINTS]] = True
    count |= ~np.isfinite(scores).all(1) | ~np.isfinite(their_scores).all(1)
    box = np.abs(boxes[count] - their_boxes[count]).max(initial=0)
    score = np.abs(scores[count] - their_scores[count]).max(initial=0)
    return (
        int(count.sum()),
        float(box) if np.isfinite(box) else float("inf"),
        float(score) if np.isfinite(score) else float("inf"),
    )


def _detections(boxes_xyxy: Floats, scores: Floats, artefact: Artefact, rule: PostprocessRule) -> Detections:
    """Detections in pixels of the network input."""
    boxes, confidences, labels = postprocess(
        boxes_xyxy, scores, to_original=lambda moved: np.asarray(moved, np.float32), rule=rule
    )
    return Detections(boxes_xyxy=boxes, scores=confidences, labels=labels, class_names=artefact.class_names)
