"""What travels inside an exported graph, against the plain network and its post-processing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sanderling.errors import UsageError
from sanderling.export.graph import CANDIDATES, NativeGraph, NmsGraph, YoloGraph
from sanderling.ops.array.postprocess import candidates, postprocess
from sanderling.ops.tensor.decode import decode
from sanderling.structures.artefact import GreedyNms, MatrixNms, NoSuppression, PostprocessRule, SoftNms, Suppression
from tests.support.artefacts import pictures, tiny_network


def _images(count: int, size_hw: tuple[int, int] = (96, 160)) -> Tensor:
    return torch.from_numpy(np.stack(pictures(count, size_hw=size_hw))).permute(0, 3, 1, 2).float()


def test_native_gives_boxes_in_input_pixels_and_scores_of_every_point() -> None:
    with torch.inference_mode():
        boxes, scores = NativeGraph(tiny_network())(_images(2))
    points = sum((96 // stride) * (160 // stride) for stride in tiny_network().neck.features.strides)
    assert boxes.shape == (2, points, 4)
    assert scores.shape == (2, points, 3)
    assert boxes.min() >= 0
    assert boxes[..., 0::2].max() <= 160
    assert boxes[..., 1::2].max() <= 96


def test_yolo_is_native_as_centre_and_size_of_pictures_scaled_to_one() -> None:
    images = _images(2)
    with torch.inference_mode():
        boxes, scores = NativeGraph(tiny_network())(images)
        output = YoloGraph(tiny_network())(images / 255)
    centre_x, centre_y, width, height = output[:, :4].unbind(1)
    corners = torch.stack(
        (centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2), -1
    )
    torch.testing.assert_close(corners, boxes, atol=1e-3, rtol=0)
    torch.testing.assert_close(output[:, 4:].transpose(1, 2), scores, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "rule",
    [
        PostprocessRule(score=0.3, iou=0.5, max_detections=40),
        PostprocessRule(score=0.3, iou=0.5, max_detections=40, multi_label=False),
        PostprocessRule(score=0.3, iou=0.5, max_detections=1000, class_agnostic=True),
        PostprocessRule(score=0.3, max_detections=200, suppression=MatrixNms()),
        PostprocessRule(score=0.3, max_detections=40, suppression=MatrixNms(decay="gaussian", sigma=0.3)),
        PostprocessRule(score=0.3, multi_label=False, class_agnostic=True, suppression=MatrixNms()),
        PostprocessRule(score=0.3, suppression=NoSuppression()),
    ],
)
def test_nms_in_the_graph_finds_what_post_processing_finds(rule: PostprocessRule) -> None:
    images = _images(1)
    with torch.inference_mode():
        boxes, scores = (part[0].numpy() for part in decode(tiny_network()(images)))
        output = NmsGraph(tiny_network(), rule)(images / 255).numpy()
    assert 100 < len(candidates(scores, rule)[0]) < CANDIDATES
    expected, confidences, labels = postprocess(
        boxes, scores, to_original=lambda moved: moved.astype(np.float32), rule=rule
    )
    found = output[0, : len(expected)]
    assert 0 < len(expected) <= output.shape[1]
    np.testing.assert_allclose(found[:, :4], expected, atol=1e-3)
    np.testing.assert_allclose(found[:, 4], confidences, atol=1e-5)
    np.testing.assert_array_equal(found[:, 5], labels)
    assert not output[0, len(expected) :].any()


def test_soft_nms_cannot_stand_in_a_graph() -> None:
    with pytest.raises(UsageError, match=r"tiny: .*kind = 'soft' with layout 'nms'.*--layout native or yolo.* greedy"):
        NmsGraph(tiny_network(), PostprocessRule(suppression=SoftNms()))


@pytest.mark.parametrize("suppression", [GreedyNms(), MatrixNms()])
def test_nms_in_the_graph_finds_nothing_above_a_threshold_that_nothing_reaches(
    suppression: Suppression,
) -> None:
    rule = PostprocessRule(score=1.0, suppression=suppression)
    with torch.inference_mode():
        output = NmsGraph(tiny_network(), rule)(_images(1) / 255)
    assert output.shape[1] == rule.max_detections
    assert not output.any()
