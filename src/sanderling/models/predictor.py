"""Pictures in, detections out: a network with its picture rule and post-processing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sanderling import pictures as picture_path
from sanderling.models.network import DetectorNetwork
from sanderling.ops.array.postprocess import postprocess as to_detections
from sanderling.ops.tensor.decode import decode
from sanderling.structures.artefact import PictureRule, PostprocessRule
from sanderling.structures.detections import Detections


class TorchDetector:
    """A network as a detector of pictures of any size; it puts the network into eval mode.

    Args:
        network: what predicts.
        picture: input size and resize rule; the network's own by default.
        postprocess: thresholds; the network's own by default.
        device: where it runs.
        batch: at most so many pictures at once.
    """

    def __init__(
        self,
        network: DetectorNetwork,
        *,
        picture: PictureRule | None = None,
        postprocess: PostprocessRule | None = None,
        device: torch.device | str = "cpu",
        batch: int = 8,
    ) -> None:
        self.network = network.to(device).eval()
        self.picture = picture or network.config.picture
        self.postprocess = postprocess or network.config.postprocess
        self.class_names = network.config.class_names
        self.device = torch.device(device)
        self.batch = batch
        network.check_size(self.picture.size_hw)

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Detect in pictures, uint8 HxWx3 RGB of any size; boxes are in each picture's own pixels."""
        found: list[Detections] = []
        for start in range(0, len(pictures), self.batch):
            found.extend(self._detect(pictures[start : start + self.batch]))
        return found

    def _detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        fitted = [picture_path.fit(picture, self.picture) for picture in pictures]
        images = torch.from_numpy(np.stack([canvas for canvas, _ in fitted])).permute(0, 3, 1, 2)
        with torch.inference_mode():
            boxes, scores = decode(self.network(images.to(self.device)))
        found = []
        for index, (_, placement) in enumerate(fitted):
            boxes_xyxy, confidences, labels = to_detections(
                boxes[index].cpu().numpy(),
                scores[index].cpu().numpy(),
                to_original=placement.to_original,
                rule=self.postprocess,
            )
            found.append(
                Detections(
                    boxes_xyxy=boxes_xyxy,
                    scores=confidences,
                    labels=labels,
                    class_names=self.class_names,
                    size_hw=placement.original_hw,
                )
            )
        return found
