from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling import config
from sanderling.data.transforms.fill import MEAN_RGB
from sanderling.data.transforms.grid_mask import GridMaskConfig, mask_grid
from sanderling.errors import UsageError


def _taken(
    augment: GridMaskConfig, seed: int = 0, size: tuple[int, int] = (60, 90), progress: float = 1.0
) -> NDArray[np.bool_]:
    image = np.full((*size, 3), 255, np.uint8)
    mask_grid(image, augment, progress=progress, rng=np.random.default_rng(seed))
    return np.asarray((image != 255).any(2))


def test_survives_being_written_and_read() -> None:
    augment = GridMaskConfig(fill="mean", inverted=False)
    text = config.dump_yaml(config.plain(augment))
    assert config.parse(GridMaskConfig, config.load_yaml(text, source="x")) == augment


@pytest.mark.parametrize("wrong", [{"bar": 0}, {"bar": 1}, {"probability": -1}, {"grow_until": 2}])
def test_refuses_what_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        config.parse(GridMaskConfig, wrong)


def test_the_probability_grows_evenly_and_then_stays() -> None:
    augment = GridMaskConfig(grow_until=0.5)
    assert [augment.probability_at(progress) for progress in (0, 0.25, 0.5, 1)] == pytest.approx([0, 0.35, 0.7, 0.7])
    assert GridMaskConfig(grow_until=0).probability_at(0) == 0.7
    for progress in (0.0, 0.25, 0.8):
        fired = [_taken(augment, seed, progress=progress).any() for seed in range(400)]
        # A long period may begin so that no hole falls into the picture.
        assert np.mean(fired) == pytest.approx(augment.probability_at(progress), abs=0.08)


@pytest.mark.parametrize(("inverted", "share"), [(True, 0.25), (False, 0.75)])
def test_holes_are_what_both_axes_agree_on(inverted: bool, share: float) -> None:
    shares = []
    for seed in range(100):
        taken = _taken(GridMaskConfig(probability=1, inverted=inverted), seed)
        holes = taken == inverted
        assert np.array_equal(holes, np.outer(holes.any(1), holes.any(0)))
        shares.append(taken.mean())
    assert np.mean(shares) == pytest.approx(share, abs=0.05)


def test_the_grid_repeats_with_one_period_on_both_axes() -> None:
    periods = set()
    for seed in range(200):
        taken = _taken(GridMaskConfig(probability=1), seed)
        rows, columns = (np.flatnonzero(np.diff(line.astype(int)) == 1) for line in (taken.any(1), taken.any(0)))
        if len(rows) > 1:
            assert len({*np.diff(rows).tolist(), *np.diff(columns).tolist()}) == 1
            periods.add(int(rows[1] - rows[0]))
    assert min(periods) <= 4
    assert max(periods) > 25


@pytest.mark.parametrize("bar", [0.2, 0.8])
def test_wider_bars_keep_more(bar: float) -> None:
    kept = np.mean([1 - _taken(GridMaskConfig(probability=1, bar=bar), seed).mean() for seed in range(150)])
    assert kept == pytest.approx(1 - (1 - bar) ** 2, abs=0.06)


def test_fill_and_smallest_pictures() -> None:
    image = np.full((33, 21, 3), 255, np.uint8)
    mask_grid(image, GridMaskConfig(probability=1, fill="mean"), progress=1, rng=np.random.default_rng(2))
    assert {tuple(colour) for colour in image.reshape(-1, 3).tolist()} == {MEAN_RGB, (255, 255, 255)}
    for size in ((1, 1), (2, 3), (3, 2)):
        assert _taken(GridMaskConfig(probability=1), size=size).shape == size


def test_the_same_state_masks_the_same() -> None:
    assert (_taken(GridMaskConfig(probability=1), 5) == _taken(GridMaskConfig(probability=1), 5)).all()
    assert (_taken(GridMaskConfig(probability=1), 5) != _taken(GridMaskConfig(probability=1), 6)).any()
