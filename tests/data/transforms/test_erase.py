from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling import config
from sanderling.data.transforms.erase import RandomErasingConfig, erase
from sanderling.data.transforms.fill import MEAN_RGB
from sanderling.errors import UsageError

NO_BOXES = np.zeros((0, 4), np.float32)


def _erased(
    augment: RandomErasingConfig, boxes: Any = NO_BOXES, seed: int = 0, size: tuple[int, int] = (90, 130)
) -> Any:
    """A white picture after erasing."""
    image = np.full((*size, 3), 255, np.uint8)
    erase(image, np.asarray(boxes, np.float32).reshape(-1, 4), augment, np.random.default_rng(seed))
    return image


def _hole(changed: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """The rectangle (xyxy) that is all that changed."""
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    assert changed[top:bottom, left:right].all()
    return int(left), int(top), int(right), int(bottom)


@pytest.mark.parametrize(
    "augment", [RandomErasingConfig(), RandomErasingConfig(where="both", fill="random"), RandomErasingConfig(fill=7)]
)
def test_survives_being_written_and_read(augment: RandomErasingConfig) -> None:
    text = config.dump_yaml(config.plain(augment))
    assert config.parse(RandomErasingConfig, config.load_yaml(text, source="x")) == augment


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"area": [0.4, 0.02]}, "must not fall"),
        ({"aspect": [0, 1]}, "greater than 0"),
        ({"probability": 2}, "less than or equal to 1"),
        ({"tries": 0}, "greater than or equal to 1"),
        ({"fill": "blue"}, "fill"),
        ({"where": "object and picture"}, "where"),
    ],
)
def test_refuses_what_makes_no_sense(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        config.parse(RandomErasingConfig, wrong)


def test_one_rectangle_of_the_asked_area_and_aspect() -> None:
    augment = RandomErasingConfig(probability=1, fill=0)
    areas, aspects = [], []
    for seed in range(200):
        left, top, right, bottom = _hole((_erased(augment, seed=seed) == 0).all(2))
        areas.append((right - left) * (bottom - top) / (90 * 130))
        aspects.append((bottom - top) / (right - left))
    assert 0.015 < min(areas) < 0.06
    assert 0.3 < max(areas) < 0.42
    assert 0.27 < min(aspects) < 0.6
    assert 1.8 < max(aspects) < 3.6


def test_holes_reach_every_row_and_column() -> None:
    augment = RandomErasingConfig(probability=1, fill=0, area=(0.3, 0.4))
    seen: Any = sum((_erased(augment, seed=seed, size=(30, 40))[..., 0] == 0).astype(int) for seed in range(150))
    assert seen.any(0).all()
    assert seen.any(1).all()


def test_happens_as_often_as_asked() -> None:
    augment = RandomErasingConfig(probability=0.25, fill=0)
    assert np.mean([(_erased(augment, seed=seed) == 0).any() for seed in range(400)]) == pytest.approx(0.25, abs=0.07)


def test_objects_are_erased_inside_each_box_alone() -> None:
    boxes = [[5, 6, 45, 60], [70.2, 10.4, 120.0, 80.0]]
    augment = RandomErasingConfig(where="object", probability=1, fill=0)
    for seed in range(30):
        changed = (_erased(augment, boxes, seed) == 0).all(2)
        for left, top, right, bottom in ((5, 6, 45, 60), (70, 10, 120, 80)):
            hole = _hole(changed[top:bottom, left:right])
            assert 0.015 < (hole[2] - hole[0]) * (hole[3] - hole[1]) / ((right - left) * (bottom - top)) < 0.42
            changed[top:bottom, left:right] = False
        assert not changed.any()


def test_each_object_has_its_own_chance() -> None:
    boxes = [[0, 0, 40, 40], [60, 40, 120, 80]]
    augment = RandomErasingConfig(where="object", fill=0)
    fired = np.array(
        [
            [
                (_erased(augment, boxes, seed)[y, x] == 0).any()
                for y, x in ((slice(0, 40), slice(0, 40)), (slice(40, 80), slice(60, 120)))
            ]
            for seed in range(300)
        ]
    )
    assert fired.mean(0) == pytest.approx([0.5, 0.5], abs=0.1)
    assert (fired[:, 0] & fired[:, 1]).mean() == pytest.approx(0.25, abs=0.1)


def test_both_erases_the_picture_and_the_objects() -> None:
    box = [[0, 0, 12, 12]]
    both = RandomErasingConfig(where="both", probability=1, fill=0)
    for seed in range(20):
        changed = (_erased(both, box, seed) == 0).all(2)
        assert changed[:12, :12].any()
        assert changed.sum() > 12 * 12 * 0.41


def test_fills() -> None:
    mean = _erased(RandomErasingConfig(probability=1))
    assert {tuple(colour) for colour in mean.reshape(-1, 3).tolist()} == {MEAN_RGB, (255, 255, 255)}
    noise = _erased(RandomErasingConfig(probability=1, fill="random", area=(0.3, 0.3)))
    assert len(np.unique(noise)) > 250


def test_what_cannot_fit_is_left_alone() -> None:
    assert (_erased(RandomErasingConfig(probability=1, area=(1, 1), aspect=(1, 1))) == 255).all()
    tiny = [[3, 3, 4, 4], [3, 3, 3, 3], [-20, -20, -5, -5], [500, 500, 600, 600]]
    assert (_erased(RandomErasingConfig(where="object", probability=1), tiny) == 255).all()


def test_the_same_state_erases_the_same() -> None:
    augment = RandomErasingConfig(where="both", probability=1, fill="random")
    assert (_erased(augment, [[2, 2, 50, 50]], 3) == _erased(augment, [[2, 2, 50, 50]], 3)).all()
    assert (_erased(augment, [[2, 2, 50, 50]], 3) != _erased(augment, [[2, 2, 50, 50]], 4)).any()
