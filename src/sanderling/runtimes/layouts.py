"""The outputs of every layout as boxes and scores per point. Axes: B pictures, A points, C classes, N detections."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sanderling.errors import ModelError
from sanderling.structures.artefact import Artefact, NoSuppression, PostprocessRule

Floats = NDArray[np.float32]


def boxes_and_scores(outputs: Sequence[Floats], artefact: Artefact) -> tuple[Floats, Floats]:
    """What an engine gave to boxes_xyxy (B, A, 4) in pixels of the network input and scores (B, A, C).

    Detections that were suppressed inside the graph become points that score in one class only, so that one
    post-processing serves all layouts; `rule_after_graph` is what it has left to do.
    """
    if artefact.layout == "native":
        return outputs[0], outputs[1]
    if artefact.layout == "yolo":
        centre, size, scores = np.split(outputs[0].transpose(0, 2, 1), [2, 4], axis=2)
        return np.concatenate((centre - size / 2, centre + size / 2), axis=2), scores
    found = outputs[0]
    labels = found[..., 5].astype(np.int64)
    scores = np.where(labels[..., None] == np.arange(len(artefact.class_names)), found[..., 4:5], np.float32(0))
    return found[..., :4], scores


def rule_after_graph(artefact: Artefact, rule: PostprocessRule) -> PostprocessRule:
    """What of a rule is left to do once the graph has run.

    Where the graph suppresses greedily, doing it again changes nothing, or does more where the rule's `iou` is lower.
    Scores must not be lowered twice.

    Raises:
        ModelError: the rule suppresses in another way than the graph does already.
    """
    if artefact.layout != "nms":
        return rule
    inside = artefact.postprocess.suppression
    if rule.suppression != inside:
        raise ModelError(
            f"{artefact.model}: postprocess.suppression = {rule.suppression}: this artefact has {inside} inside its "
            "graph; leave it at that, or export the model again with --layout native"
        )
    return rule if inside.kind == "greedy" else dataclasses.replace(rule, suppression=NoSuppression())
