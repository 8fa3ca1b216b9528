"""An exported model as a detector of pictures. Axes: B pictures, A points, C classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sanderling import pictures as picture_path
from sanderling.errors import ModelError
from sanderling.ops.array.postprocess import postprocess as to_detections
from sanderling.pictures import Placement
from sanderling.runtimes.layouts import boxes_and_scores, rule_after_graph
from sanderling.structures.artefact import Artefact, PictureRule, PostprocessRule
from sanderling.structures.detections import Detections


class Engine(Protocol):
    """What runs a loaded graph."""

    def run(self, images: NDArray[Any]) -> Sequence[NDArray[np.float32]]:
        """Network input (B, 3, H, W) to the outputs, in the artefact's order."""
        ...


class ArtefactDetector:
    """Pictures in, detections out. One picture at a time; not for several threads at once.

    Args:
        engine: the loaded graph.
        artefact: what its sidecar says.
        picture: another resize rule or border than the artefact's.
        postprocess: another rule than the artefact's.

    Raises:
        ModelError: another input size than the artefact's, or another suppression than is in its graph.
    """

    def __init__(
        self,
        engine: Engine,
        artefact: Artefact,
        *,
        picture: PictureRule | None = None,
        postprocess: PostprocessRule | None = None,
    ) -> None:
        self.artefact = artefact
        self.picture = picture or artefact.picture
        self.postprocess = postprocess or artefact.postprocess
        self.class_names = artefact.class_names
        if self.picture.size_hw != artefact.picture.size_hw:
            asked, fixed = (f"{height}x{width}" for height, width in (self.picture.size_hw, artefact.picture.size_hw))
            raise ModelError(
                f"{artefact.model}: this artefact takes {fixed} (height x width) only, not {asked}; "
                "export the model again with --imgsz"
            )
        self._rule = rule_after_graph(artefact, self.postprocess)
        self._engine = engine
        self._input = np.zeros((1, 3, *artefact.picture.size_hw), artefact.input_dtype)

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Detect in pictures, uint8 HxWx3 RGB of any size; boxes are in each picture's own pixels."""
        return [self.detect(picture) for picture in pictures]

    def with_rules(self, *, picture: PictureRule, postprocess: PostprocessRule) -> ArtefactDetector:
        """The same loaded graph with other rules.

        Raises:
            ModelError: another input size than the artefact's, or another suppression than is in its graph.
        """
        return ArtefactDetector(self._engine, self.artefact, picture=picture, postprocess=postprocess)

    def detect(self, picture: NDArray[np.uint8]) -> Detections:
        """Detect in one picture."""
        images, placement = self.prepare(picture)
        boxes_xyxy, scores = self.infer(images)
        return self.finish(boxes_xyxy[0], scores[0], placement)

    def ready(self) -> NDArray[Any]:
        """A network input (1, 3, H, W) of the artefact's type: what `prepare` wrote last, zeros before."""
        return self._input

    def prepare(self, picture: NDArray[np.uint8]) -> tuple[NDArray[Any], Placement]:
        """A picture to the network input (1, 3, H, W), in a buffer that the next call writes again."""
        canvas, placement = picture_path.fit(picture, self.picture)
        np.copyto(self._input[0], canvas.transpose(2, 0, 1))
        self._scale(self._input)
        return self._input, placement

    def infer(self, images: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What `prepare` gives to boxes_xyxy (1, A, 4) in input pixels and scores (1, A, C)."""
        return boxes_and_scores(self._engine.run(images), self.artefact)

    def network(self, images: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Images (B, 3, H, W), RGB 0..255, to boxes_xyxy (B, A, 4) in input pixels and scores (B, A, C)."""
        given = images.astype(self.artefact.input_dtype)
        self._scale(given)
        return self.infer(given)

    def finish(self, boxes_xyxy: NDArray[np.float32], scores: NDArray[np.float32], placement: Placement) -> Detections:
        """Boxes (A, 4) and scores (A, C) of one picture to its detections."""
        boxes, confidences, labels = to_detections(
            boxes_xyxy, scores, to_original=placement.to_original, rule=self._rule
        )
        return Detections(
            boxes_xyxy=boxes,
            scores=confidences,
            labels=labels,
            class_names=self.class_names,
            size_hw=placement.original_hw,
        )

    def _scale(self, images: NDArray[Any]) -> None:
        if self.artefact.input_scale != 1:
            np.multiply(images, np.float32(self.artefact.input_scale), out=images)
