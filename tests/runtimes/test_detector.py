"""An artefact as a detector, with an engine that says what it was given."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.errors import ModelError
from sanderling.pictures import fit
from sanderling.runtimes.detector import ArtefactDetector
from sanderling.structures.artefact import Artefact, MatrixNms, PictureRule, PostprocessRule
from tests.support.artefacts import pictures

_RULE = PictureRule(size_hw=(64, 96), pad_value=114)
_ARTEFACT = Artefact(model="m", class_names=("a", "b"), picture=_RULE, postprocess=PostprocessRule())


class _Engine:
    """Finds one box in the middle half of the network input."""

    def __init__(self, score: float = 0.8) -> None:
        self.given: list[NDArray[Any]] = []
        self._score = score

    def run(self, images: NDArray[Any]) -> Sequence[NDArray[np.float32]]:
        self.given.append(images.copy())
        count = len(images)
        boxes = np.tile(np.array([[[24, 16, 72, 48]]], np.float32), (count, 1, 1))
        return boxes, np.tile(np.array([[[0.01, self._score]]], np.float32), (count, 1, 1))


@pytest.mark.parametrize("size_hw", [(64, 96), (47, 90), (200, 31)])
def test_the_engine_is_given_the_fitted_picture_as_planes(size_hw: tuple[int, int]) -> None:
    engine = _Engine()
    picture = pictures(1, size_hw=size_hw)[0]
    ArtefactDetector(engine, _ARTEFACT)([picture])
    canvas, _ = fit(picture, _RULE)
    assert engine.given[0].dtype == np.float32
    np.testing.assert_array_equal(engine.given[0][0], canvas.transpose(2, 0, 1))


def test_type_and_scale_of_the_input_follow_the_artefact() -> None:
    picture = pictures(1, size_hw=(64, 96))[0]
    engine = _Engine()
    ArtefactDetector(engine, dataclasses.replace(_ARTEFACT, input_dtype="uint8"))([picture])
    ArtefactDetector(engine, dataclasses.replace(_ARTEFACT, input_scale=1 / 255))([picture])
    assert engine.given[0].dtype == np.uint8
    assert engine.given[1].dtype == np.float32
    np.testing.assert_allclose(engine.given[1] * 255, engine.given[0], atol=1e-4)


def test_network_takes_pixels_whatever_the_artefact_takes() -> None:
    engine = _Engine()
    images = np.full((2, 3, 64, 96), 51, np.float32)
    boxes, scores = ArtefactDetector(engine, dataclasses.replace(_ARTEFACT, input_scale=1 / 255)).network(images)
    np.testing.assert_allclose(engine.given[0], 0.2)
    np.testing.assert_array_equal(images, 51)
    assert (len(boxes), len(scores)) == (2, 2)


def test_boxes_come_back_in_pixels_of_each_picture() -> None:
    # 128x96 stands in the input at half its size, 24 px from the left.
    found = ArtefactDetector(_Engine(), _ARTEFACT)(
        [pictures(1, size_hw=(128, 96))[0], pictures(1, size_hw=(64, 96))[0]]
    )
    np.testing.assert_allclose(found[0].boxes_xyxy, [[0, 32, 96, 96]], atol=1e-4)
    np.testing.assert_allclose(found[1].boxes_xyxy, [[24, 16, 72, 48]], atol=1e-4)
    assert [(item.size_hw, item.labels.tolist()) for item in found] == [((128, 96), [1]), ((64, 96), [1])]
    assert found[0].class_names == ("a", "b")


def test_a_black_picture_after_a_white_one_is_black() -> None:
    engine = _Engine()
    detector = ArtefactDetector(engine, _ARTEFACT)
    detector([np.full((64, 96, 3), 255, np.uint8), np.zeros((64, 96, 3), np.uint8)])
    assert engine.given[0].min() == 255
    assert engine.given[1].max() == 0


def test_nothing_above_the_threshold_is_nothing() -> None:
    found = ArtefactDetector(_Engine(score=0.02), _ARTEFACT).detect(pictures(1)[0])
    assert len(found) == 0
    assert found.boxes_xyxy.shape == (0, 4)


def test_other_rules_share_the_graph_and_leave_the_first_detector_alone() -> None:
    first = ArtefactDetector(_Engine(), _ARTEFACT)
    strict = first.with_rules(
        picture=dataclasses.replace(_RULE, resize="stretch"), postprocess=PostprocessRule(score=0.9)
    )
    picture = pictures(1)[0]
    assert len(strict.detect(picture)) == 0
    assert len(first.detect(picture)) == 1


def test_another_input_size_is_refused() -> None:
    with pytest.raises(ModelError, match=r"m: this artefact takes 64x96 \(height x width\) only, not 96x96"):
        ArtefactDetector(_Engine(), _ARTEFACT, picture=PictureRule(size_hw=(96, 96)))


def test_scores_lowered_inside_the_graph_stay_as_they_are() -> None:
    class Suppressing:
        def run(self, images: NDArray[Any]) -> Sequence[NDArray[np.float32]]:
            rows = [[24, 16, 72, 48, 0.8, 1], [25, 16, 72, 48, 0.3, 1], [0, 0, 0, 0, 0, 0]]
            return [np.array([rows], np.float32)]

    rule = PostprocessRule(score=0.2, suppression=MatrixNms())
    artefact = dataclasses.replace(_ARTEFACT, layout="nms", output_names=("output0",), postprocess=rule)
    detector = ArtefactDetector(Suppressing(), artefact)
    np.testing.assert_allclose(detector.detect(pictures(1, size_hw=(64, 96))[0]).scores, [0.8, 0.3])
    assert detector.postprocess == rule
    with pytest.raises(ModelError, match="--layout native"):
        detector.with_rules(picture=_RULE, postprocess=PostprocessRule())
