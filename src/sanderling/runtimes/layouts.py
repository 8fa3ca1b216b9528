"""The outputs of every layout as boxes and scores per point. Axes: B pictures, A points, C classes, N detections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sanderling.structures.artefact import Artefact

Floats = NDArray[np.float32]


def boxes_and_scores(outputs: Sequence[Floats], artefact: Artefact) -> tuple[Floats, Floats]:
    """What an engine gave to boxes_xyxy (B, A, 4) in pixels of the network input and scores (B, A, C).

    Detections that were suppressed inside the graph become points that score in one class only, so that one
    post-processing serves all layouts: suppressing twice changes nothing.
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
