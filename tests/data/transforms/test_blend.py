from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling import config
from sanderling.data.transforms.blend import (
    CutMixConfig,
    MixupConfig,
    boxes_after_cutmix,
    cutmix_rectangle,
    draw_share,
    mix,
    paste_rectangle,
)
from sanderling.data.transforms.geometry import Outlines

NO_BOXES = np.zeros((0, 4), np.float32)


@pytest.mark.parametrize("augment", [MixupConfig(probability=0.5), CutMixConfig(alpha=1, keep_all=True)])
def test_survives_being_written_and_read(augment: MixupConfig | CutMixConfig) -> None:
    text = config.dump_yaml(config.plain(augment))
    assert config.parse(type(augment), config.load_yaml(text, source="x")) == augment


def test_shares_follow_the_beta_distribution() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([draw_share(MixupConfig(), rng) for _ in range(3000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / 16, abs=0.005)  # of Beta(1.5, 1.5)
    rare = np.array([draw_share(CutMixConfig(probability=0.2), rng) for _ in range(1000)])
    assert (rare < 1).mean() == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.77, 1.0])
def test_mix_is_the_weighted_sum(share: float) -> None:
    rng = np.random.default_rng(1)
    batch, other = rng.integers(0, 256, (2, 37, 53, 3), np.uint8), rng.integers(0, 256, (37, 53, 3), np.uint8)
    before = batch.copy()
    mix(batch[1], other, share)
    expected = share * before[1].astype(float) + (1 - share) * other
    assert np.abs(batch[1] - expected).max() <= 0.5 + 1e-3
    assert (batch[0] == before[0]).all()


def test_rectangles_have_the_share_that_was_drawn_unless_they_are_cut_off() -> None:
    rng = np.random.default_rng(2)
    for share in (0.1, 0.5, 0.9):
        rectangles = np.array([cutmix_rectangle((90, 130), share, rng) for _ in range(500)])
        sides = rectangles[:, 2:] - rectangles[:, :2]
        assert (rectangles[:, :2] >= 0).all()
        assert (rectangles[:, 2:] <= (130, 90)).all()
        assert (sides >= 0).all()
        assert sides.max(0) == pytest.approx(np.sqrt(1 - share) * np.array([130, 90]), abs=1)
        assert (rectangles.min(0)[:2] == 0).all()
        assert (rectangles.max(0)[2:] == (130, 90)).all()
    assert all(np.prod(np.subtract(r[2:], r[:2])) == 0 for r in [cutmix_rectangle((9, 13), 1.0, rng)])


def test_pasting_copies_the_rectangle_alone() -> None:
    image, other = np.zeros((20, 31, 3), np.uint8), np.arange(20 * 31 * 3, dtype=np.uint8).reshape(20, 31, 3)
    paste_rectangle(image, other, (4, 5, 17, 11))
    assert (image[5:11, 4:17] == other[5:11, 4:17]).all()
    image[5:11, 4:17] = 0
    assert not image.any()
    paste_rectangle(image, other, (4, 5, 4, 11))
    assert not image.any()


def _seen_of(box: list[int], visible: NDArray[np.bool_]) -> tuple[float, list[int]]:
    """Share of a whole-pixel box that is visible, and the box around it."""
    mask = np.zeros_like(visible)
    mask[box[1] : box[3], box[0] : box[2]] = True
    seen = mask & visible
    if not seen.any():
        return 0.0, box
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return seen.sum() / mask.sum(), [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


@pytest.mark.parametrize("seed", range(40))
def test_boxes_are_what_is_seen_of_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = 23, 37

    def boxes(count: int) -> NDArray[np.int64]:
        corner = rng.integers(0, (width - 1, height - 1), (count, 2))
        return np.concatenate([corner, np.minimum(corner + rng.integers(1, 20, (count, 2)), (width, height))], axis=1)

    first, second = boxes(25), boxes(20)
    rectangle = cutmix_rectangle((height, width), rng.random() * 0.8, rng)
    pasted = np.zeros((height, width), bool)
    pasted[rectangle[1] : rectangle[3], rectangle[0] : rectangle[2]] = True
    expected = [
        (index, *_seen_of(box, visible))
        for index, (box, visible) in enumerate(
            [(box, ~pasted) for box in first.tolist()] + [(box, pasted) for box in second.tolist()]
        )
    ]
    kept = [(index, box) for index, share, box in expected if share >= 0.3 - 1e-9]
    found = boxes_after_cutmix(first.astype(float), second.astype(float), rectangle, share=0.5, min_visible=0.3)
    assert found.source_box.tolist() == [index for index, _ in kept]
    assert found.boxes_xyxy.tolist() == [box for _, box in kept]
    assert (found.weights == 1).all()
    assert found.boxes_xyxy.dtype == found.weights.dtype == np.float32


def test_as_published_every_box_stays_with_the_share_of_its_sample() -> None:
    first, second = np.array([[0, 0, 5, 5]], np.float32), np.array([[1, 1, 9, 9], [3, 3, 4, 4]], np.float32)
    found = boxes_after_cutmix(first, second, (0, 0, 8, 8), share=0.7, min_visible=0.9, keep_all=True)
    assert found.boxes_xyxy.tolist() == [*first.tolist(), *second.tolist()]
    assert found.weights.tolist() == pytest.approx([0.7, 0.3, 0.3])
    assert found.source_box.tolist() == [0, 1, 2]


@pytest.mark.parametrize("keep_all", [False, True])
def test_no_boxes(keep_all: bool) -> None:
    found = boxes_after_cutmix(NO_BOXES, NO_BOXES, (1, 1, 5, 5), share=0.5, min_visible=0.1, keep_all=keep_all)
    assert found.boxes_xyxy.shape == (0, 4)
    assert len(found.weights) == len(found.source_box) == 0


def test_an_empty_rectangle_takes_nothing_and_brings_nothing() -> None:
    boxes = np.array([[0, 0, 5, 5]], np.float32)
    found = boxes_after_cutmix(boxes, boxes, (3, 2, 3, 9), share=1.0, min_visible=0.0)
    assert found.source_box.tolist() == [0]
    assert found.boxes_xyxy.tolist() == boxes.tolist()


@pytest.mark.parametrize("seed", range(6))
def test_of_a_turned_box_that_is_counted_which_is_seen(seed: int) -> None:
    rng = np.random.default_rng(seed)
    window, rectangle = np.array([5.0, 3, 90, 70]), np.array([30, 20, 64, 55])
    corners = rng.uniform((5, 5), (60, 50), (12, 2))
    angles = rng.uniform(-0.6, 0.6, 12)
    sides = rng.uniform(8, 30, (12, 2))
    matrices = np.zeros((12, 2, 3))
    matrices[:, 0, 0], matrices[:, 1, 0] = np.cos(angles) * sides[:, 0], np.sin(angles) * sides[:, 0]
    matrices[:, 0, 1], matrices[:, 1, 1] = -np.sin(angles) * sides[:, 1], np.cos(angles) * sides[:, 1]
    matrices[:, :, 2] = corners
    outlines = Outlines(matrices=matrices, windows_xyxy=np.tile(window, (12, 1)))
    boxes = outlines.within(np.tile(window, (12, 1)))
    found = boxes_after_cutmix(boxes[:6], boxes[6:], (30, 20, 64, 55), share=0.5, min_visible=0.0, outlines=outlines)
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 301)] * 2), axis=-1).reshape(-1, 2)
    told = dict(zip(found.source_box.tolist(), found.boxes_xyxy, strict=True))
    for index, matrix in enumerate(matrices):
        points = grid @ matrix[:, :2].T + matrix[:, 2]
        points = points[((points >= window[:2]) & (points <= window[2:])).all(axis=1)]
        inside = ((points >= rectangle[:2]) & (points <= rectangle[2:])).all(axis=1)
        if index < 6:
            beyond = [points[:, 0] <= 30, points[:, 1] <= 20, points[:, 0] >= 64, points[:, 1] >= 55]
            strips = [points[side] for side in beyond]
            untouched = not inside.any()
            # What is thinner than half a pixel is not to be seen.
            parts = [strip for strip in strips if len(strip) and (untouched or (np.ptp(strip, axis=0) >= 0.5).all())]
        else:
            parts = [points[inside]] if inside.any() else []
        if not parts:
            assert index not in told or (told[index][2:] - told[index][:2]).min() < 0.5
            continue
        seen = np.concatenate(parts)
        expected = np.concatenate([seen.min(axis=0), seen.max(axis=0)])
        assert told[index] == pytest.approx(expected, abs=0.25)
