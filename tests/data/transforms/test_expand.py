from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sanderling import config
from sanderling.data.transforms.expand import ExpandConfig, draw_expand
from sanderling.errors import UsageError


def test_survives_being_written_and_read() -> None:
    augment = ExpandConfig(ratio=(1.5, 2.0), fill=114)
    text = config.dump_yaml(config.plain(augment))
    assert config.parse(ExpandConfig, config.load_yaml(text, source="x")) == augment


@pytest.mark.parametrize(
    ("wrong", "words"), [({"ratio": [0.5, 2]}, "greater than or equal to 1"), ({"ratio": [3, 2]}, "must not fall")]
)
def test_refuses_what_makes_no_sense(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        config.parse(ExpandConfig, wrong)


def test_the_picture_lies_on_its_canvas_anywhere() -> None:
    rng = np.random.default_rng(0)
    placements = [draw_expand((121, 83), ExpandConfig(probability=1), rng) for _ in range(2000)]
    canvas, offset = (
        np.array([getattr(placement, name) for placement in placements]) for name in ("canvas_xy", "offset_xy")
    )
    ratio = canvas / (121, 83)
    assert np.abs(ratio[:, 0] - ratio[:, 1]).max() < 0.02
    assert 1 <= ratio[:, 0].min() < 1.05
    assert 3.95 < ratio[:, 0].max() <= 4
    assert ratio[:, 0].mean() == pytest.approx(2.5, abs=0.1)
    room = canvas - (121, 83)
    assert (offset >= 0).all()
    assert (offset <= room).all()
    place = offset[room.min(1) > 50] / room[room.min(1) > 50]
    assert place.mean(0) == pytest.approx([0.5, 0.5], abs=0.05)
    assert place.min() < 0.02
    assert place.max() > 0.98


def test_happens_as_often_as_asked_and_else_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    placements = [draw_expand((50, 40), ExpandConfig(ratio=(2, 4)), rng) for _ in range(1000)]
    alone = [placement for placement in placements if placement.canvas_xy == (50, 40)]
    assert len(alone) / 1000 == pytest.approx(0.5, abs=0.05)
    assert all(placement.offset_xy == (0, 0) for placement in alone)


def test_the_same_state_draws_the_same() -> None:
    first, again = (draw_expand((50, 40), ExpandConfig(probability=1), np.random.default_rng(7)) for _ in range(2))
    assert first == again
