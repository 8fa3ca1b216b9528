"""The comparison itself: it must see every kind of difference, and forgive ties only."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sanderling.errors import ExportError
from sanderling.export.graph import NmsGraph
from sanderling.export.parity import TOLERANCES, Tolerance, measure_parity, require_parity, same_detections
from sanderling.export.write import ExportChoice, artefact_of
from sanderling.models.network import DetectorNetwork
from sanderling.ops.tensor.decode import decode
from sanderling.runtimes.layouts import boxes_and_scores
from sanderling.structures.artefact import MatrixNms, Parity, PictureRule, PostprocessRule, SoftNms
from sanderling.structures.detections import Detections
from tests.support.artefacts import TINY_CLASSES, TINY_HW, pictures, tiny_network

Floats = NDArray[np.float32]
_TOLERANCE = TOLERANCES["onnx"]


class _Engine:
    """The network itself, with an error put in."""

    def __init__(self, *, boxes: float = 0, scores: float = 0, broken: bool = False, dynamic: bool = False) -> None:
        choice = ExportChoice(picture=PictureRule(size_hw=TINY_HW), dynamic_batch=dynamic)
        self.artefact = artefact_of(tiny_network(), choice)
        self.batches: list[int] = []
        self._boxes, self._scores, self._broken = boxes, scores, broken

    def network(self, images: Floats) -> tuple[Floats, Floats]:
        self.batches.append(len(images))
        with torch.inference_mode():
            boxes, scores = (part.numpy().copy() for part in decode(tiny_network()(torch.from_numpy(images))))
        best = scores[-1].max(1).argmax()
        boxes[-1, best, 2] += self._boxes
        scores[-1, best] += self._scores
        if self._broken:
            scores[-1, 0, 0] = np.nan
        return boxes, scores


def _measure(engine: _Engine, network: DetectorNetwork | None = None) -> Parity:
    return measure_parity(network or tiny_network(), engine, pictures(4, size_hw=(61, 83)), _TOLERANCE)


def test_the_same_network_differs_by_nothing() -> None:
    parity = _measure(_Engine())
    assert (parity.max_box_difference_px, parity.max_score_difference) == (0, 0)
    assert parity.pictures == 4
    assert parity.points > 0
    assert parity.detections > 0
    assert parity.detections_equal
    require_parity(parity, _TOLERANCE, name="tiny.onnx")


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (_Engine(boxes=0.2), r"boxes differ by up to 0\.2 px .* at most 0\.05 px"),
        (_Engine(scores=-0.001), r"scores differ by up to 0\.001 .* at most 0\.0001"),
        (_Engine(broken=True), "scores differ by up to inf"),
    ],
)
def test_a_difference_at_one_point_of_one_picture_is_found(engine: _Engine, words: str) -> None:
    with pytest.raises(ExportError, match=words):
        require_parity(_measure(engine), _TOLERANCE, name="tiny.onnx")


def test_other_detections_are_refused_even_where_points_agree() -> None:
    parity = Parity(
        pictures=1,
        points=9,
        max_box_difference_px=0,
        max_score_difference=0,
        detections=3,
        detections_equal=False,
    )
    with pytest.raises(ExportError, match="other detections than the model on 1 pictures"):
        require_parity(parity, _TOLERANCE, name="tiny.onnx")


def test_a_network_that_finds_nothing_is_still_compared() -> None:
    config = tiny_network().config
    untrained = config.build().eval()

    class Untrained(_Engine):
        def network(self, images: Floats) -> tuple[Floats, Floats]:
            with torch.inference_mode():
                boxes, scores = decode(untrained(torch.from_numpy(images)))
            return boxes.numpy() + 1, scores.numpy()

    for parameter in untrained.head.get_submodule("gfl_cls").parameters():
        if parameter.ndim == 1:
            torch.nn.init.constant_(parameter, -20)
    parity = _measure(Untrained(), untrained)
    assert parity.points == 4 * 100
    assert parity.max_box_difference_px == pytest.approx(1, abs=1e-4)


def test_a_varying_batch_is_compared_in_batches() -> None:
    engine = _Engine(dynamic=True)
    assert _measure(engine).detections_equal
    assert engine.batches == [3, 1]


class _Lowering:
    """The network a rounding error off, with suppression that lowers scores after the graph or inside it."""

    def __init__(self, suppression: SoftNms | MatrixNms, layout: Literal["native", "nms"], *, error: float = 0) -> None:
        artefact = artefact_of(tiny_network(), ExportChoice(picture=PictureRule(size_hw=TINY_HW), layout=layout))
        self.rule = PostprocessRule(score=0.01, suppression=suppression)
        self.artefact = dataclasses.replace(artefact, postprocess=self.rule)
        self._error = error

    def network(self, images: Floats) -> tuple[Floats, Floats]:
        noise = np.random.default_rng(0).uniform(-0.002, 0.002, images.shape).astype(np.float32)
        given = torch.from_numpy(images + noise)
        with torch.inference_mode():
            if self.artefact.layout == "native":
                boxes, scores = (part.numpy() for part in decode(tiny_network()(given)))
                return boxes, scores
            found = NmsGraph(tiny_network(), self.rule)(given / 255).numpy().copy()
        found[0, 5, 4] -= self._error
        return boxes_and_scores([found], self.artefact)


@pytest.mark.parametrize("suppression", [SoftNms(), MatrixNms(), MatrixNms(decay="gaussian")])
def test_scores_that_the_runtime_lowers_do_not_shake_the_comparison(suppression: SoftNms | MatrixNms) -> None:
    parity = measure_parity(tiny_network(), _Lowering(suppression, "native"), pictures(2), _TOLERANCE)
    assert parity.max_score_difference > 1e-6
    assert parity.detections > 50
    require_parity(parity, _TOLERANCE, name="tiny.onnx")


@pytest.mark.parametrize("decay", ["linear", "gaussian"])
def test_scores_that_the_graph_has_lowered_are_compared(decay: Literal["linear", "gaussian"]) -> None:
    right, wrong = (_Lowering(MatrixNms(decay=decay), "nms", error=error) for error in (0, 0.01))
    parity = measure_parity(tiny_network(), right, pictures(2), _TOLERANCE)
    assert parity.points > 50
    require_parity(parity, _TOLERANCE, name="tiny.onnx")
    assert not measure_parity(tiny_network(), wrong, pictures(2), _TOLERANCE).detections_equal


def _found(*rows: tuple[float, float, float, float, float]) -> Detections:
    """Detections of class 0 from rows of box and score."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(
        boxes_xyxy=table[:, :4],
        scores=table[:, 4],
        labels=np.zeros(len(table), np.int64),
        class_names=TINY_CLASSES,
    )


_RULE = PostprocessRule(score=0.3, iou=0.5, max_detections=2)
_LOOSE = Tolerance(box_px=0.05, score=1e-3)
_BOX, _OVERLAPPING, _ELSEWHERE = (0, 0, 10, 10), (1, 0, 11, 10), (40, 40, 50, 50)


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        (_found(), _found(), True),
        (_found((*_BOX, 0.9)), _found((*_BOX, 0.9005)), True),
        (_found((*_BOX, 0.9)), _found((*_BOX, 0.8)), False),
        (_found((*_BOX, 0.9)), _found(), False),
        (_found((*_BOX, 0.3005)), _found(), True),
        (_found((*_BOX, 0.9)), _found((*_OVERLAPPING, 0.9)), True),
        (_found((*_BOX, 0.9)), _found((*_ELSEWHERE, 0.9)), False),
        (_found((*_BOX, 0.9), (*_ELSEWHERE, 0.5)), _found((*_BOX, 0.9), (60, 60, 70, 70, 0.5)), True),
    ],
    ids=["none", "within", "score", "missing", "at-threshold", "tie", "elsewhere", "end-of-full-list"],
)
def test_only_what_could_fall_either_way_is_forgiven(ours: Detections, theirs: Detections, same: bool) -> None:
    assert same_detections(ours, theirs, rule=_RULE, tolerance=_LOOSE) is same
    assert same_detections(theirs, ours, rule=_RULE, tolerance=_LOOSE) is same


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        # Two boxes of side 10 that are 10 / 3 apart overlap by just 0.5.
        (_found((*_BOX, 0.9), (3.34, 0, 13.34, 10, 0.7)), _found((*_BOX, 0.9)), True),
        (_found((*_BOX, 0.9), (5, 0, 15, 10, 0.7)), _found((*_BOX, 0.9)), False),
        # What the second suppresses comes back where it is missing itself.
        (_found((*_BOX, 0.9), (3.34, 0, 13.34, 10, 0.7)), _found((*_BOX, 0.9), (6, 0, 16, 10, 0.6)), True),
        (_found((*_BOX, 0.9), (5, 0, 15, 10, 0.7)), _found((*_BOX, 0.9), (6, 0, 16, 10, 0.6)), False),
        (_found((*_BOX, 0.9), (3.34, 0, 13.34, 10, 0.7)), _found((*_BOX, 0.9), (*_ELSEWHERE, 0.6)), False),
    ],
    ids=["at-the-limit", "below-it", "follows", "follows-from-nothing", "follows-not"],
)
def test_an_overlap_at_the_limit_and_what_follows_from_it_are_forgiven(
    ours: Detections, theirs: Detections, same: bool
) -> None:
    rule = dataclasses.replace(_RULE, max_detections=10)
    assert same_detections(ours, theirs, rule=rule, tolerance=_LOOSE) is same
    assert same_detections(theirs, ours, rule=rule, tolerance=_LOOSE) is same
