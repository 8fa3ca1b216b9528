from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.structures.detections import Detections
from sanderling.structures.draw import class_colour, draw, draw_boxes

RED = (255, 0, 0)


def blank(height: int = 90, width: int = 140) -> NDArray[np.uint8]:
    return np.zeros((height, width, 3), np.uint8)


def test_neighbouring_classes_have_colours_far_apart() -> None:
    colours = np.array([class_colour(label) for label in range(20)], int)
    assert len({tuple(colour) for colour in colours.tolist()}) == 20
    assert np.abs(np.diff(colours, axis=0)).sum(axis=1).min() > 150
    assert colours.max(axis=1).min() > 200


def test_lines_run_along_the_box_and_nowhere_else() -> None:
    drawn = draw_boxes(blank(), np.array([[20.0, 30, 100, 70]]), captions=[""], colours=[RED], thickness=1)
    rows, columns = np.nonzero(drawn[..., 0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30, 70, 20, 100)
    assert (drawn[30, 20:101, 0] == 255).all()
    assert (drawn[30:71, 100, 0] == 255).all()
    assert not drawn[32:69, 22:99].any()


def test_dashes_lie_on_the_same_lines_with_gaps() -> None:
    box = np.array([[20.0, 30, 100, 70]])
    dashed = draw_boxes(blank(), box, captions=[""], colours=[RED], thickness=1, dashed=True)
    whole = draw_boxes(blank(), box, captions=[""], colours=[RED], thickness=1)
    assert not dashed[whole == 0].any()
    share = np.count_nonzero(dashed) / np.count_nonzero(whole)
    assert 0.3 < share < 0.8


@pytest.mark.parametrize("dashed", [False, True])
@pytest.mark.parametrize(
    "box",
    [[-1e12, -50.0, 1e12, 1e9], [5.0, 5, 5, 5], [9.0, 9, 2, 2], [np.nan, 0, 10, np.inf], [200.0, 200, 300, 300]],
)
def test_no_box_is_too_odd_to_draw(box: list[float], dashed: bool) -> None:
    drawn = draw_boxes(blank(), np.array([box]), captions=["odd"], colours=[RED], dashed=dashed)
    assert drawn.shape == blank().shape


def test_a_caption_stays_inside_the_picture() -> None:
    bare = draw_boxes(blank(), np.array([[120.0, 0, 139, 80]]), captions=[""], colours=[RED], thickness=1)
    drawn = draw_boxes(blank(), np.array([[120.0, 0, 139, 80]]), captions=["smoke 0.90"], colours=[RED], thickness=1)
    _, columns = np.nonzero((drawn != bare).any(axis=2))
    assert columns.min() < 119
    assert np.ptp(columns) > 40


def test_the_first_box_lies_on_top() -> None:
    boxes = np.array([[20.0, 30, 100, 70], [20.0, 30, 100, 70]])
    drawn = draw_boxes(blank(), boxes, captions=["", ""], colours=[RED, (0, 255, 0)], thickness=1)
    assert drawn[30, 50].tolist() == [255, 0, 0]


def test_one_caption_and_colour_per_box() -> None:
    with pytest.raises(ValueError):
        draw_boxes(blank(), np.zeros((2, 4)), captions=["a"], colours=[RED, RED])


@pytest.mark.parametrize("track_ids", [None, np.array([12])])
def test_detections_in_the_colour_of_their_class(track_ids: NDArray[np.int64] | None) -> None:
    found = Detections(
        boxes_xyxy=np.array([[20, 30, 100, 70]], np.float32),
        scores=np.array([0.5], np.float32),
        labels=np.array([3]),
        class_names=("a", "b", "c", "d"),
        track_ids=track_ids,
    )
    drawn = draw(blank(), found)
    assert drawn[70, 60].tolist() == list(class_colour(3))


def test_a_read_only_view_can_be_drawn_on() -> None:
    picture = np.broadcast_to(np.uint8(7), (40, 60, 3))
    drawn = draw_boxes(picture, np.array([[5.0, 5, 30, 30]]), captions=[""], colours=[RED])
    assert drawn.flags.writeable
    assert drawn[5, 10].tolist() == [255, 0, 0]
