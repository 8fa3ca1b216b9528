from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sanderling.structures.sample import Sample


def sample(count: int = 2, /, **changes: Any) -> Sample:
    values: dict[str, Any] = {
        "image": np.zeros((7, 13, 3), np.uint8),
        "boxes_xyxy": np.zeros((count, 4), np.float32),
        "labels": np.zeros(count, np.int64),
        "weights": np.ones(count, np.float32),
        "crowd": np.zeros(count, bool),
        "difficult": np.zeros(count, bool),
        "picture_id": "a.jpg",
        "original_size_hw": (7, 13),
    }
    return Sample(**{**values, **changes})


@pytest.mark.parametrize("count", [0, 1, 5])
def test_any_number_of_boxes(count: int) -> None:
    assert len(sample(count).labels) == count


@pytest.mark.parametrize(
    "image",
    [np.zeros((7, 13), np.uint8), np.zeros((7, 13, 4), np.uint8), np.zeros((7, 13, 3), np.float32)],
)
def test_an_image_is_uint8_rgb(image: Any) -> None:
    with pytest.raises(ValueError, match=r"Sample\.image is .*; uint8 HxWx3 is expected"):
        sample(image=image)


def test_boxes_have_four_corners() -> None:
    with pytest.raises(ValueError, match=r"Sample\.boxes_xyxy has shape \(2, 5\); Nx4 is expected"):
        sample(boxes_xyxy=np.zeros((2, 5), np.float32))


@pytest.mark.parametrize("name", ["labels", "weights", "crowd", "difficult"])
def test_one_value_per_box(name: str) -> None:
    with pytest.raises(ValueError, match=rf"Sample\.{name} has shape \(3,\); \(2,\) is expected, one per box"):
        sample(**{name: np.zeros(3)})


def test_a_sample_does_not_change() -> None:
    with pytest.raises(AttributeError):
        sample().picture_id = 3  # type: ignore[misc]
