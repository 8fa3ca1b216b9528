from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling import config
from sanderling.data.transforms.crop import CropConfig, draw_crop, kept
from sanderling.errors import UsageError

SIZE = (131, 83)
BOXES = np.array([[5, 8, 60, 70], [70, 10, 125, 60], [100, 60, 110, 75]], np.float32)


def _iou(first: Any, second: Any) -> float:
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]))
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)) - width * height
    return width * height / union


def _crops(augment: CropConfig, boxes: NDArray[np.float32] = BOXES, count: int = 200) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [draw_crop(boxes, SIZE, augment, rng).tolist() for _ in range(count)]


def test_survives_being_written_and_read() -> None:
    augment = CropConfig(thresholds=(0.2,), cover_all=True)
    text = config.dump_yaml(config.plain(augment))
    assert config.parse(CropConfig, config.load_yaml(text, source="x")) == augment


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"scale": [0.5, 0.3]}, "must not fall"),
        ({"thresholds": [1.2]}, "less than or equal to 1"),
        ({"tries": 0}, "tries"),
    ],
)
def test_refuses_what_makes_no_sense(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        config.parse(CropConfig, wrong)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("cover_all", [False, True])
def test_boxes_overlap_the_crop_as_asked(threshold: float, cover_all: bool) -> None:
    boxes = BOXES[:2]
    augment = CropConfig(thresholds=(threshold,), whole=False, cover_all=cover_all)
    cropped = [crop for crop in _crops(augment, boxes) if crop != [0, 0, *SIZE]]
    assert cropped or (cover_all and threshold > 0.3)
    for crop in cropped:
        overlaps = [_iou(box, crop) for box in boxes.tolist()]
        assert (min(overlaps) if cover_all else max(overlaps)) >= threshold - 1e-6
        assert any(_holds_middle(crop, box) for box in boxes.tolist())


def _holds_middle(crop: list[int], box: list[float]) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return crop[0] <= x < crop[2] and crop[1] <= y < crop[3]


def test_crops_are_inside_the_picture_and_of_the_asked_shapes() -> None:
    crops = np.array(_crops(CropConfig(thresholds=(0.0,), whole=False), count=1500))
    sides = crops[:, 2:] - crops[:, :2]
    assert (crops[:, :2] >= 0).all()
    assert (crops[:, 2:] <= SIZE).all()
    shares = sides / SIZE
    assert 0.2 < shares.min() < 0.35
    assert shares.max() > 0.95
    aspect = shares[:, 0] / shares[:, 1]
    assert 0.45 < aspect.min() < 0.65
    assert 1.6 < aspect.max() < 2.15
    scale = np.sqrt(shares.prod(1))
    assert 0.27 < scale.min() < 0.35
    # Anywhere: some touch each border.
    assert (crops.min(0)[:2] == 0).all()
    assert (crops.max(0)[2:] >= np.array(SIZE) - 1).all()


def test_the_whole_picture_is_one_choice_among_seven() -> None:
    whole = np.mean([crop == [0, 0, *SIZE] for crop in _crops(CropConfig(), count=500)])
    # Above 1/7, as higher thresholds often lead to no crop and the next choice follows.
    assert 1 / 7 < whole < 0.5
    easy = np.mean([crop == [0, 0, *SIZE] for crop in _crops(CropConfig(thresholds=(0.0,) * 6), count=500)])
    assert easy == pytest.approx(1 / 7, abs=0.04)


def test_without_boxes_or_hope_the_picture_stays_whole() -> None:
    nothing = np.zeros((0, 4), np.float32)
    assert _crops(CropConfig(), nothing, 5) == [[0, 0, *SIZE]] * 5
    assert _crops(CropConfig(thresholds=(1.0,), whole=False, tries=3), count=5) == [[0, 0, *SIZE]] * 5
    no_area = np.array([[20, 20, 20, 20]], np.float32)
    assert _crops(CropConfig(thresholds=(0.0,), whole=False), no_area, 5) == [[0, 0, *SIZE]] * 5


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 1)])
def test_smallest_pictures(size: tuple[int, int]) -> None:
    boxes = np.array([[0, 0, *size]], np.float32)
    for seed in range(20):
        left, top, right, bottom = draw_crop(boxes, size, CropConfig(), np.random.default_rng(seed)).tolist()
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]


def test_an_aspect_that_the_picture_cannot_hold_still_gives_a_crop_inside() -> None:
    for crop in _crops(CropConfig(thresholds=(0.0,), whole=False, aspect=(3, 4), scale=(0.9, 1)), count=50):
        assert crop[0] >= 0
        assert crop[2] <= SIZE[0]


def test_boxes_with_their_middle_inside_are_kept() -> None:
    crop = np.array([40, 20, 90, 60])
    boxes = np.array([[0, 0, 100, 80], [30, 30, 49.9, 40], [30, 30, 50.1, 40], [80, 30, 100, 40], [50, 30, 50, 40]])
    assert kept(boxes, crop).tolist() == [
        _holds_middle(crop.tolist(), box) and box[0] < box[2] for box in boxes.tolist()
    ]
    assert kept(np.zeros((0, 4)), crop).shape == (0,)


def test_the_same_state_draws_the_same() -> None:
    assert _crops(CropConfig(), count=5) == _crops(CropConfig(), count=5)
