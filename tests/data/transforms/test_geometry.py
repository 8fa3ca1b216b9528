from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sanderling.data.transforms.geometry import (
    MovedBoxes,
    Pasting,
    Tiles,
    move_boxes,
    paste,
    seen_hulls,
    snap,
    upright,
    warp,
)

sides = st.integers(1, 200)
STRAIGHT = np.eye(2, 3)


def _tile(scale: tuple[float, float], offset: tuple[float, float], limits: tuple[float, float, float, float]) -> Tiles:
    return Tiles(
        sample=np.array([0]),
        source=np.array([0]),
        scale_xy=np.array([scale]),
        offset_xy=np.array([offset]),
        limits_xyxy=np.array([limits], np.float64),
        turns=STRAIGHT[None].copy(),
        tilted=np.array([False]),
    )


def _snapped(tiles: Tiles, size_hw: tuple[int, int], reduction: int = 1) -> Pasting:
    height, width = size_hw
    return snap(
        tiles,
        original_xy=np.array([[width, height]], np.float64),
        decoded_xy=np.array([[-(-width // reduction), -(-height // reduction)]]),
        reduction_xy=np.full((1, 2), float(reduction)),
    )


@settings(max_examples=150, deadline=None)
@given(
    size_hw=st.tuples(sides, sides),
    reduction=st.sampled_from([1, 2, 4]),
    scale=st.tuples(st.floats(0.1, 4), st.floats(0.1, 4)),
    offset=st.tuples(st.floats(-150, 150), st.floats(-150, 150)),
)
def test_snapping_stays_inside_and_moves_by_less_than_a_pixel(
    size_hw: tuple[int, int], reduction: int, scale: tuple[float, float], offset: tuple[float, float]
) -> None:
    tiles = _tile(scale, offset, (0, 0, 160, 96))
    pasting = _snapped(tiles, size_hw, reduction)
    left, top, right, bottom = pasting.targets_xyxy[0].tolist()
    assert 0 <= left <= right <= 160
    assert 0 <= top <= bottom <= 96
    if left == right or top == bottom:
        return
    crop = pasting.crops_xyxy[0]
    decoded_xy = np.array([-(-size_hw[1] // reduction), -(-size_hw[0] // reduction)])
    assert (crop[:2] >= 0).all()
    assert (crop[2:] <= decoded_xy).all()
    assert (crop[:2] < crop[2:]).all()
    # The crop's edges, through the map as pasted, are the target's edges exactly.
    corners = crop.reshape(2, 2) * reduction * pasting.matrices[0][[0, 1], [0, 1]] + pasting.matrices[0][:, 2]
    assert corners.ravel() == pytest.approx([left, top, right, bottom])
    # The wanted map puts them within a decoded pixel (as wide as it is here) or a pixel of the sample.
    wanted = crop.reshape(2, 2) * reduction * tiles.scale_xy[0] + tiles.offset_xy[0]
    assert (np.abs(corners - wanted) <= np.maximum(tiles.scale_xy[0] * reduction, 1) + 1e-6).all()


@pytest.mark.parametrize("size_hw", [(48, 64), (31, 77), (1, 1)])
def test_what_already_lies_on_whole_pixels_is_not_moved(size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    pasting = _snapped(_tile((2.0, 3.0), (5.0, 7.0), (0, 0, 400, 400)), size_hw)
    assert pasting.crops_xyxy[0].tolist() == [0, 0, width, height]
    assert pasting.targets_xyxy[0].tolist() == [5, 7, 5 + 2 * width, 7 + 3 * height]
    assert pasting.matrices[0].tolist() == [[2, 0, 5], [0, 3, 7]]


def test_a_tile_outside_its_limits_has_nothing_to_paste() -> None:
    left, top, right, bottom = _snapped(_tile((1.0, 1.0), (200.0, 3.0), (0, 0, 160, 96)), (20, 20)).targets_xyxy[0]
    assert (right - left) * (bottom - top) == 0


def test_paste_writes_its_place_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 50, 3), np.uint8)
    images = rng.integers(0, 256, (2, 30, 60, 3), np.uint8)
    before = images.copy()
    paste(picture, [10, 5, 40, 25], images[1], [7, 3, 52, 13])
    expected = cv2.resize(picture[5:25, 10:40], (45, 10), interpolation=cv2.INTER_LINEAR)
    assert (images[1, 3:13, 7:52] == expected).all()
    images[1, 3:13, 7:52] = before[1, 3:13, 7:52]
    assert (images == before).all()


def test_shrinking_by_two_or_more_averages() -> None:
    # A checkerboard of single pixels, which skipping pixels would turn black, white or striped.
    picture = np.repeat((np.indices((90, 120)).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    image = np.zeros((30, 40, 3), np.uint8)
    paste(picture, [0, 0, 120, 90], image, [0, 0, 40, 30])
    assert np.abs(image.astype(int) - 127).max() <= 20


def _moved(
    boxes: list[list[float]],
    *,
    flip: bool = False,
    centred: bool = False,
    min_visible: float = 0.0,
    min_side: float = 0.0,
) -> MovedBoxes:
    tiles = _tile((2.0, 1.0), (10.0, -5.0), (20, 0, 90, 40))
    return move_boxes(
        tiles,
        _snapped(tiles, (60, 50)),
        np.array(boxes, np.float64).reshape(-1, 4),
        begin=np.array([0]),
        counts=np.array([len(boxes)]),
        flip=np.array([flip]),
        width=np.array([100]),
        centred=np.array([centred]),
        min_visible=min_visible,
        min_side=min_side,
    )


def test_boxes_are_moved_and_clipped_to_the_tile() -> None:
    moved = _moved([[10, 10, 20, 20], [0, 0, 50, 60]])
    assert moved.boxes_xyxy.tolist() == [[30, 5, 50, 15], [20, 0, 90, 40]]
    assert moved.source_box.tolist() == [0, 1]
    assert moved.boxes_xyxy.dtype == np.float32


@pytest.mark.parametrize("flip", [False, True])
def test_a_box_is_around_what_is_seen_of_its_outline(flip: bool) -> None:
    moved = _moved([[10, 10, 20, 20], [0, 0, 50, 60], [3, 6.5, 41, 30]], flip=flip)
    windows = np.tile([0.0, 0, 100, 60], (3, 1))
    assert moved.outlines.within(windows) == pytest.approx(moved.boxes_xyxy)
    second = moved.outlines[np.array([1])]
    assert second.within(np.array([[25.0, 10, 45, 90]])).tolist() == [[25, 10, 45, 40]]
    # The tile ends at 90, in the mirror it begins at 10.
    assert second.within(np.array([[0.0, 0, 100, 5]])).tolist() == [[10, 0, 80, 5] if flip else [20, 0, 90, 5]]


def test_an_upright_outline_is_its_box() -> None:
    boxes = np.array([[1.5, 2, 7, 9.25], [3, 4, 5, 6]])
    assert upright(boxes).within(boxes + np.array([-1, -1, 1, 1])) == pytest.approx(boxes)
    assert upright(boxes[:0]).within(boxes[:0]).shape == (0, 4)


def test_a_mirror_swaps_left_and_right() -> None:
    assert _moved([[10, 10, 20, 20]], flip=True).boxes_xyxy.tolist() == [[50, 5, 70, 15]]


def test_boxes_of_which_too_little_is_left_are_dropped() -> None:
    # Half of the first is seen (20..30 of 10..30) and all of the second, 4 x 2 px; the third lies outside.
    boxes: list[list[float]] = [[0, 10, 10, 20], [10, 10, 12, 12], [0, 10, 4, 20]]
    assert _moved(boxes).source_box.tolist() == [0, 1]
    assert _moved(boxes, min_visible=0.49).source_box.tolist() == [0, 1]
    assert _moved(boxes, min_visible=0.51).source_box.tolist() == [1]
    assert _moved(boxes, min_side=2.0).source_box.tolist() == [0, 1]
    assert _moved(boxes, min_side=2.1).source_box.tolist() == [0]


def test_where_only_the_middle_counts_a_box_with_its_middle_out_of_sight_is_dropped() -> None:
    boxes: list[list[float]] = [[0, 10, 10, 20], [0, 10, 9, 20]]  # middles at 20 and 19; the tile begins at 20
    assert _moved(boxes).source_box.tolist() == [0, 1]
    assert _moved([[0, 10, 11, 20], *boxes], centred=True).source_box.tolist() == [0]


def _polygon(box: NDArray[np.float64], matrix: NDArray[np.float64], window: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is seen of a moved box, by many points."""
    x, y = np.meshgrid(np.linspace(box[0], box[2], 200), np.linspace(box[1], box[3], 200))
    points = np.stack([x.ravel(), y.ravel()], axis=1) @ matrix[:, :2].T + matrix[:, 2]
    inside = ((points >= window[:2]) & (points <= window[2:])).all(axis=1)
    if not inside.any():
        return np.full(4, np.nan)
    return np.concatenate([points[inside].min(axis=0), points[inside].max(axis=0)])


def test_what_is_seen_of_turned_boxes() -> None:
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 100, (60, 2, 2)), axis=1)
    boxes = corners.reshape(-1, 4)
    matrices = np.concatenate([rng.uniform(-1, 1, (60, 2, 2)), rng.uniform(0, 60, (60, 2, 1))], axis=2)
    windows = np.tile([10.0, 5.0, 70.0, 60.0], (60, 1))
    seen = seen_hulls(boxes, matrices, windows)
    compared = 0
    for box, matrix, window, found in zip(boxes, matrices, windows, seen, strict=True):
        expected = _polygon(box, matrix, window)
        if np.isnan(expected).any():
            assert (found[2:] - found[:2]).min() < 1
            continue
        assert (found[:2] <= expected[:2] + 1e-6).all()
        assert (found[2:] >= expected[2:] - 1e-6).all()
        assert np.abs(found - expected).max() < 1.5
        compared += 1
    assert compared > 20


def test_a_warp_that_does_not_turn_is_a_resize() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    picture = np.asarray(cv2.GaussianBlur(picture, (5, 5), 2), np.uint8)
    image = np.zeros((70, 80, 3), np.uint8)
    warp(picture, np.array([[1.5, 0, 10], [0, 2.0, 5]]), image, [10, 5, 55, 45])
    expected = cv2.resize(picture, (45, 40), interpolation=cv2.INTER_LINEAR)
    inner = (slice(7, 43), slice(12, 53))
    assert np.abs(image[inner].astype(int) - expected[2:38, 2:43]).max() <= 2
    image[5:45, 10:55] = 0
    assert not image.any()


def test_a_quarter_turn_moves_pixels_where_it_says() -> None:
    picture = np.random.default_rng(2).integers(0, 256, (20, 30, 3), np.uint8)
    image = np.zeros((30, 20, 3), np.uint8)
    warp(picture, np.array([[0, -1.0, 20], [1.0, 0, 0]]), image, [0, 0, 20, 30])
    assert (image == np.rot90(picture, -1)).all()


def test_a_warp_that_shrinks_averages() -> None:
    picture = np.repeat((np.indices((90, 120)).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    image = np.full((40, 40, 3), 127, np.uint8)
    turn = np.array([[0.25, -0.05, 8], [0.05, 0.25, 3]])
    warp(picture, turn, image, [0, 0, 40, 40])
    assert np.abs(image.astype(int) - 127).max() <= 20


def test_no_boxes() -> None:
    moved = _moved([])
    assert moved.boxes_xyxy.shape == (0, 4)
    assert moved.sample.shape == (0,)


def _obvious(
    tiles: Tiles, pasting: Pasting, boxes: NDArray[np.float64], begin: list[int], counts: list[int]
) -> list[list[float]]:
    found = []
    for tile in range(len(tiles.sample)):
        (scale_x, _, offset_x), (_, scale_y, offset_y) = pasting.matrices[tile]
        low_x, low_y, high_x, high_y = pasting.targets_xyxy[tile]
        source = tiles.source[tile]
        for box in range(begin[source], begin[source] + counts[source]):
            x0, y0, x1, y1 = boxes[box]
            x0, x1 = (min(max(x * scale_x + offset_x, low_x), high_x) for x in (x0, x1))
            y0, y1 = (min(max(y * scale_y + offset_y, low_y), high_y) for y in (y0, y1))
            if x1 > x0 and y1 > y0:
                found.append([tiles.sample[tile], box, x0, y0, x1, y1])
    return found


@pytest.mark.parametrize("seed", range(10))
def test_many_tiles_at_once_are_what_each_gives_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, 5)
    begin = np.cumsum(counts) - counts
    corners = np.sort(rng.uniform(0, 60, (int(counts.sum()), 2, 2)), axis=1)
    tiles = Tiles(
        sample=np.sort(rng.integers(0, 6, 12)),
        source=rng.integers(0, 5, 12),
        scale_xy=rng.uniform(0.3, 3, (12, 2)),
        offset_xy=rng.uniform(-60, 60, (12, 2)),
        limits_xyxy=np.tile([0.0, 0.0, 90.0, 50.0], (12, 1)),
        turns=np.tile(STRAIGHT, (12, 1, 1)),
        tilted=np.zeros(12, np.bool_),
    )
    pasting = snap(
        tiles,
        original_xy=np.full((12, 2), 60.0),
        decoded_xy=np.full((12, 2), 60),
        reduction_xy=np.ones((12, 2)),
    )
    boxes = corners.reshape(-1, 4)
    moved = move_boxes(
        tiles,
        pasting,
        boxes,
        begin=begin,
        counts=counts,
        flip=np.zeros(6, np.bool_),
        width=np.full(6, 90),
        centred=np.zeros(6, np.bool_),
        min_visible=0.0,
        min_side=0.0,
    )
    found = np.column_stack([moved.sample, moved.source_box, moved.boxes_xyxy])
    expected = np.array(_obvious(tiles, pasting, boxes, begin.tolist(), counts.tolist())).reshape(-1, 6)
    assert found == pytest.approx(expected, abs=1e-4)
