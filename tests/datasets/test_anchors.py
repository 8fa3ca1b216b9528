from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.datasets import anchors as module
from sanderling.datasets.anchors import best_anchor, box_sizes, fit_anchors, shape_iou, split_over_levels
from sanderling.datasets.locate import open_dataset
from sanderling.errors import DataError, UsageError
from sanderling.ops.array.boxes import iou
from sanderling.pictures import place
from sanderling.structures.artefact import PictureRule
from tests.support.scored import Box, split_of
from tests.support.shared import shared_path

Floats = NDArray[np.float64]


def _clusters(centres: Sequence[tuple[float, float]], counts: Sequence[int], *, spread: float = 0.05) -> Floats:
    rng = np.random.default_rng(len(centres))
    return np.concatenate(
        [np.array(centre) * np.exp(rng.normal(0, spread, (n, 2))) for centre, n in zip(centres, counts, strict=True)]
    )


def _overlaps(sizes_wh: Floats, centre: Floats) -> Floats:
    shared = np.minimum(sizes_wh, centre).prod(1)
    return np.asarray(shared / (sizes_wh.prod(1) + centre.prod() - shared))


def _darknet(sizes_wh: Floats, count: int, seed: int) -> float:
    """darknet's rule: begin with boxes of the data, then means of their boxes until no box changes its centre."""
    rng = np.random.default_rng(seed)
    centres = [sizes_wh[index] for index in rng.choice(len(sizes_wh), count, replace=False)]
    owners = np.full(len(sizes_wh), -1)
    for _ in range(1000):
        before = owners
        owners = np.argmax([_overlaps(sizes_wh, centre) for centre in centres], axis=0)
        if (owners == before).all():
            break
        centres = [sizes_wh[owners == k].mean(0) if (owners == k).any() else centre for k, centre in enumerate(centres)]
    return float(np.max([_overlaps(sizes_wh, centre) for centre in centres], axis=0).mean())


def test_shapes_are_compared_as_boxes_with_one_corner() -> None:
    rng = np.random.default_rng(0)
    sizes, anchors = rng.uniform(1, 90, (17, 2)), rng.uniform(1, 90, (5, 2))
    corners = np.zeros((17, 2)), np.zeros((5, 2))
    expected = iou(np.concatenate([corners[1], anchors], 1), np.concatenate([corners[0], sizes], 1))
    np.testing.assert_allclose(shape_iou(sizes, anchors), expected)


def test_the_best_anchor_of_each_box(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, anchors = np.random.default_rng(1).uniform(1, 90, (37, 2)), np.array([[10.0, 30.0], [40.0, 20.0], [70, 80]])
    monkeypatch.setattr(module, "_AT_ONCE", 10)
    best, overlap = best_anchor(sizes, anchors)
    for box, index, found in zip(sizes, best, overlap, strict=True):
        overlaps = [_overlaps(box[None], anchor).item() for anchor in anchors]
        assert overlaps[index] == max(overlaps) == pytest.approx(found)
    assert best_anchor(np.zeros((0, 2)), anchors)[0].shape == (0,)


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_sizes_are_those_at_the_network_input(resize: str) -> None:
    rule = PictureRule(size_hw=(96, 160), resize=resize)  # type: ignore[arg-type]
    sizes_hw = [(480, 640), (123, 77), (0, 0), (123, 77), (31, 47)]
    low = np.random.default_rng(2).uniform(0, 20, (7, 2))
    boxes = np.concatenate([low, low + low[::-1] / 2 + 1], 1)
    boxes[3, 2] = boxes[3, 0]  # without a size
    rows: list[tuple[int, Box]] = [(0, (x1, y1, x2, y2)) for x1, y1, x2, y2 in boxes.tolist()]
    dataset = dataclasses.replace(
        split_of([rows[:2], rows[2:3], rows[3:4], rows[4:6], rows[6:]], crowd=[1]),
        sizes_hw=np.array(sizes_hw, np.int32),
    )
    expected = []
    for picture, box in ((0, 0), (1, 2), (3, 4), (3, 5), (4, 6)):
        if not dataset.crowd[box]:
            left, top, right, bottom = place(sizes_hw[picture], rule).to_network(boxes[box : box + 1])[0].tolist()
            expected.append((right - left, bottom - top))
    np.testing.assert_allclose(box_sizes(dataset, rule), expected, rtol=1e-5)


def test_a_data_set_without_boxes_has_no_sizes() -> None:
    assert box_sizes(split_of([[], []]), PictureRule()).shape == (0, 2)


def test_known_clusters_are_found_with_their_shares() -> None:
    centres = [(12.0, 30.0), (25.0, 11.0), (60.0, 60.0), (150.0, 90.0), (90.0, 210.0)]
    fitted = fit_anchors(_clusters(centres, [400, 50, 300, 200, 50]), 5, seed=3)
    expected = sorted(centres, key=lambda size: size[0] * size[1])
    np.testing.assert_allclose(fitted.sizes_wh, expected, rtol=0.03)
    np.testing.assert_allclose(fitted.shares, [0.05, 0.4, 0.3, 0.2, 0.05], atol=1e-9)
    assert fitted.mean_best_iou > 0.92
    assert fitted.shapes == 1000


def test_the_anchors_depend_on_data_and_seed_only() -> None:
    sizes = np.exp(np.random.default_rng(5).normal(3.5, 1, (400, 2)))
    first, second = (fit_anchors(sizes, 6, seed=8, restarts=3) for _ in range(2))
    assert first.sizes_wh.tolist() == second.sizes_wh.tolist()
    assert first.mean_best_iou == second.mean_best_iou
    assert (np.diff(first.sizes_wh.prod(1)) >= 0).all()
    others = {str(fit_anchors(sizes, 6, seed=seed, restarts=1).sizes_wh.tolist()) for seed in range(4)}
    assert len(others) > 1


def test_what_is_reported_is_measured_on_the_anchors_as_they_are_given() -> None:
    sizes = np.exp(np.random.default_rng(6).normal(2.5, 0.8, (150, 2)))
    fitted = fit_anchors(sizes, 4, seed=0)
    overlaps = np.array([_overlaps(sizes, anchor) for anchor in fitted.sizes_wh])
    assert fitted.mean_best_iou == pytest.approx(overlaps.max(0).mean())
    assert fitted.shares.tolist() == [(overlaps.argmax(0) == k).sum() / 150 for k in range(4)]
    assert (np.round(fitted.sizes_wh, 2) == fitted.sizes_wh).all()


@pytest.mark.parametrize("seed", range(3))
def test_not_below_darknets_rule_on_made_boxes(seed: int) -> None:
    sizes = np.exp(np.random.default_rng(seed).normal(3.5, 0.9, (120, 2)))
    assert fit_anchors(sizes, 5, seed=seed).mean_best_iou >= max(_darknet(sizes, 5, other) for other in range(4))


def test_not_below_darknets_rule_on_blood_cells() -> None:
    dataset = open_dataset(shared_path("data/bccd"), split="train")
    sizes = box_sizes(dataset, PictureRule(size_hw=(320, 320), resize="stretch"))
    fitted = fit_anchors(sizes, 9, seed=0)
    assert fitted.mean_best_iou >= max(_darknet(sizes, 9, seed) for seed in range(4))
    first, second = (fit_anchors(sizes, 9, seed=1, restarts=1) for _ in range(2))
    assert first.sizes_wh.tolist() == second.sizes_wh.tolist()


def test_many_boxes_are_joined_and_still_measured_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = np.exp(np.random.default_rng(7).normal(3.5, 0.8, (3000, 2)))
    whole = fit_anchors(sizes, 4, seed=0, restarts=3)
    monkeypatch.setattr(module, "_MOST_SHAPES", 100)
    joined = fit_anchors(sizes, 4, seed=0, restarts=3)
    assert joined.shapes < whole.shapes == 3000
    assert joined.mean_best_iou == pytest.approx(whole.mean_best_iou, abs=2e-3)
    assert joined.mean_best_iou == best_anchor(sizes, joined.sizes_wh)[1].mean()


def test_equal_boxes_count_as_often_as_they_are() -> None:
    sizes = np.array([[10.0, 10.0]] * 97 + [[12.0, 10.0]] * 3)
    fitted = fit_anchors(sizes, 1, seed=0)
    assert fitted.shapes == 2
    np.testing.assert_allclose(fitted.sizes_wh, [[10.0, 10.0]], atol=0.05)


def test_as_many_anchors_as_shapes() -> None:
    sizes = np.array([[10.0, 20.0], [300.0, 1.0], [10.0, 20.0], [5.5, 5.25]])
    assert fit_anchors(sizes, 3, seed=1).sizes_wh.tolist() == [[5.5, 5.25], [10.0, 20.0], [300.0, 1.0]]
    with pytest.raises(DataError, match="3 different shapes of boxes do not give 4 anchors"):
        fit_anchors(sizes, 4, seed=1)


@pytest.mark.parametrize(("count", "seed", "words"), [(0, 0, "count = 0"), (3, -1, "seed = -1")])
def test_what_makes_no_sense_is_named(count: int, seed: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        fit_anchors(np.ones((4, 2)), count, seed=seed)


def test_levels_get_anchors_by_rising_area() -> None:
    sizes = np.arange(1.0, 13.0).reshape(6, 2)
    assert split_over_levels(sizes, [2, 1, 3]) == (
        ((1.0, 2.0), (3.0, 4.0)),
        ((5.0, 6.0),),
        ((7.0, 8.0), (9.0, 10.0), (11.0, 12.0)),
    )
