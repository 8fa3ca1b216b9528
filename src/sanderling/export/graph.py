"""What travels inside an exported graph: the network, its decoding and, where a layout asks for it, suppression.

Axes: B pictures, A points, C classes, K candidates, N detections.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sanderling.models.network import DetectorNetwork
from sanderling.ops.tensor.decode import decode
from sanderling.structures.artefact import PostprocessRule

# Suppression inside the graph looks at no more than this many candidates, best first.
_CANDIDATES = 1000


class NativeGraph(nn.Module):
    """Images (B, 3, H, W), RGB 0..255, to boxes_xyxy (B, A, 4) in input pixels and scores (B, A, C)."""

    output_names = ("boxes_xyxy", "scores")

    def __init__(self, network: DetectorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run and decode."""
        return decode(self.network(images))


class YoloGraph(nn.Module):
    """Images (B, 3, H, W), RGB 0..1, to (B, 4 + C, A): centre, size and class scores, as YOLO runners read it."""

    output_names = ("output0",)

    def __init__(self, network: DetectorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Run, decode and rearrange."""
        boxes_xyxy, scores = decode(self.network(images * 255))
        low, high = boxes_xyxy.split(2, -1)
        return torch.cat(((low + high) / 2, high - low, scores), -1).transpose(1, 2)


class NmsGraph(nn.Module):
    """Images (1, 3, H, W), RGB 0..1, to (1, N, 6): box, score and class, best first, rows of zeros at the end."""

    output_names = ("output0",)

    def __init__(self, network: DetectorNetwork, rule: PostprocessRule) -> None:
        super().__init__()
        # The exporter knows torchvision's operations only when they are loaded before it starts.
        from torchvision.ops import nms

        self.network = network
        self.rule = rule
        self._nms = nms

    def forward(self, images: Tensor) -> Tensor:
        """Run, decode and suppress."""
        boxes_xyxy, scores = (part[0] for part in decode(self.network(images * 255)))
        best, points, labels = self._candidates(scores)
        boxes = boxes_xyxy[points]
        # Moving each class to its own place lets one pass suppress per class.
        extent = max(images.shape[-2:]) + 1
        apart = boxes if self.rule.class_agnostic else boxes + (labels * extent)[:, None].to(boxes.dtype)
        kept = torch.zeros_like(best).index_fill(0, self._nms(apart, best, self.rule.iou), 1.0)
        # Suppression gives a varying number; the best N of all candidates, the dropped ones at 0, keep the shape.
        scores_kept, order = (best * kept).topk(min(self.rule.max_detections, len(best)))
        found = torch.cat((boxes[order], scores_kept[:, None], labels[order, None].to(boxes.dtype)), 1)
        return (found * (scores_kept > 0)[:, None])[None]

    def _candidates(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (K), points (K) and labels (K), best first; what is under the threshold scores 0."""
        classes = scores.shape[1]
        if self.rule.multi_label:
            best, flat = scores.flatten().topk(min(_CANDIDATES, scores.numel()))
            points, labels = flat // classes, flat % classes
        else:
            top, top_labels = scores.max(1)
            best, points = top.topk(min(_CANDIDATES, len(top)))
            labels = top_labels[points]
        return best * (best > self.rule.score), points, labels
