"""Outputs of every layout as boxes and scores per point."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest

from sanderling.errors import ModelError
from sanderling.ops.array.postprocess import postprocess
from sanderling.runtimes.layouts import boxes_and_scores, rule_after_graph
from sanderling.structures.artefact import Artefact, MatrixNms, NoSuppression, PictureRule, PostprocessRule

_BOXES = np.array([[[1, 2, 11, 22], [5, 5, 6, 9]]], np.float32)
_SCORES = np.array([[[0.9, 0.1, 0.0], [0.2, 0.3, 0.4]]], np.float32)


def _artefact(layout: Literal["native", "yolo", "nms"]) -> Artefact:
    return Artefact(
        model="m", class_names=("a", "b", "c"), picture=PictureRule(), postprocess=PostprocessRule(), layout=layout
    )


def test_native_is_taken_as_it_is() -> None:
    boxes, scores = boxes_and_scores([_BOXES, _SCORES], _artefact("native"))
    assert boxes is _BOXES
    assert scores is _SCORES


def test_yolo_is_centre_and_size() -> None:
    rows = [[6, 12, 10, 20, 0.9, 0.1, 0.0], [5.5, 7, 1, 4, 0.2, 0.3, 0.4]]
    boxes, scores = boxes_and_scores([np.array([rows], np.float32).transpose(0, 2, 1)], _artefact("yolo"))
    np.testing.assert_allclose(boxes, _BOXES)
    np.testing.assert_allclose(scores, _SCORES)


@pytest.mark.parametrize("multi_label", [True, False])
def test_detections_of_the_graph_come_through_post_processing_unchanged(multi_label: bool) -> None:
    found = np.array([[[1, 2, 11, 22, 0.9, 2], [5, 5, 6, 9, 0.4, 0], [0, 0, 0, 0, 0, 0]]], np.float32)
    boxes, scores = boxes_and_scores([found], _artefact("nms"))
    assert scores.shape == (1, 3, 3)
    rule = dataclasses.replace(PostprocessRule(), multi_label=multi_label)
    kept, confidences, labels = postprocess(
        boxes[0], scores[0], to_original=lambda moved: moved.astype(np.float32), rule=rule
    )
    np.testing.assert_allclose(kept, found[0, :2, :4])
    np.testing.assert_allclose(confidences, [0.9, 0.4])
    np.testing.assert_array_equal(labels, [2, 0])


def test_scores_that_the_graph_has_lowered_are_not_lowered_again() -> None:
    rule = PostprocessRule(suppression=MatrixNms())
    inside = dataclasses.replace(_artefact("nms"), postprocess=rule)
    left = rule_after_graph(inside, dataclasses.replace(rule, score=0.3, max_detections=5))
    assert left == PostprocessRule(score=0.3, max_detections=5, suppression=NoSuppression())


def test_what_the_graph_leaves_to_do_is_done() -> None:
    matrix = PostprocessRule(suppression=MatrixNms())
    stricter = PostprocessRule(iou=0.3)
    assert rule_after_graph(_artefact("native"), matrix) == matrix
    assert rule_after_graph(_artefact("nms"), stricter) == stricter


def test_suppression_inside_a_graph_cannot_be_exchanged() -> None:
    with pytest.raises(ModelError, match=r"m: postprocess\.suppression = MatrixNms.* --layout native"):
        rule_after_graph(_artefact("nms"), PostprocessRule(suppression=MatrixNms()))
