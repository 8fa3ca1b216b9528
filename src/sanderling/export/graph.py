"""What travels inside an exported graph: the network, its decoding and, where a layout asks for it, suppression.

Axes: B pictures, A points, C classes, K candidates, N detections.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sanderling.errors import UsageError
from sanderling.models.network import DetectorNetwork
from sanderling.ops.tensor.decode import decode
from sanderling.ops.tensor.matrix_nms import matrix_shares
from sanderling.structures.artefact import PostprocessRule

CANDIDATES = 1000
"""Suppression inside the graph looks at no more than this many candidates, the best ones."""


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
    """Images (1, 3, H, W), RGB 0..1, to (1, N, 6): box, score and class, best first, rows of zeros at the end.

    Raises:
        UsageError: the rule asks for Soft-NMS.
    """

    output_names = ("output0",)

    def __init__(self, network: DetectorNetwork, rule: PostprocessRule) -> None:
        super().__init__()
        if rule.suppression.kind == "soft":
            raise UsageError(
                f"{network.config.name}: postprocess.suppression.kind = 'soft' with layout 'nms': Soft-NMS goes box by "
                "box and cannot stand in a graph of fixed shape; export with --layout native or yolo, where it runs "
                "after the graph, or suppress by greedy or matrix"
            )
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
        lowered = best * self._shares(boxes, best, labels, extent=max(images.shape[-2:]) + 1)
        # What scores too little comes last, so that it has lowered nothing that stays.
        lowered = lowered * (lowered > self.rule.score)
        # Suppression gives a varying number; the best N of all candidates, the dropped ones at 0, keep the shape.
        scores_kept, order = lowered.topk(min(self.rule.max_detections, len(best)))
        found = torch.cat((boxes[order], scores_kept[:, None], labels[order, None].to(boxes.dtype)), 1)
        return (found * (scores_kept > 0)[:, None])[None]

    def _shares(self, boxes_xyxy: Tensor, scores: Tensor, labels: Tensor, *, extent: int) -> Tensor:
        """What suppression leaves (K) of the scores of candidates that come best first: 1 or 0 where it is greedy."""
        suppression = self.rule.suppression
        if suppression.kind == "none":
            return torch.ones_like(scores)
        if suppression.kind == "matrix":
            classes = torch.zeros_like(labels) if self.rule.class_agnostic else labels
            return matrix_shares(boxes_xyxy, classes, decay=suppression.decay, sigma=suppression.sigma)
        # Moving each class to its own place lets one pass suppress per class.
        apart = boxes_xyxy
        if not self.rule.class_agnostic:
            apart = boxes_xyxy + (labels * extent)[:, None].to(boxes_xyxy.dtype)
        return torch.zeros_like(scores).index_fill(0, self._nms(apart, scores, self.rule.iou), 1.0)

    def _candidates(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (K), points (K) and labels (K), best first."""
        classes = scores.shape[1]
        if self.rule.multi_label:
            best, flat = scores.flatten().topk(min(CANDIDATES, scores.numel()))
            points, labels = flat // classes, flat % classes
        else:
            top, top_labels = scores.max(1)
            best, points = top.topk(min(CANDIDATES, len(top)))
            labels = top_labels[points]
        return best, points, labels
