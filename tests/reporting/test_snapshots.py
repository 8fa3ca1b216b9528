from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.pictures import decode
from sanderling.reporting.snapshots import FOUND, LABELLED, Mark, css_colour, snapshot


def near(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Pixels of about this colour, as JPEG leaves it."""
    return np.asarray(np.abs(picture.astype(int) - colour).max(axis=2) < 70)


@pytest.mark.parametrize("size", [(40, 30), (330, 440), (1080, 1920), (3, 900), (700, 5)])
def test_any_picture_becomes_a_small_jpeg(size: tuple[int, int]) -> None:
    data = snapshot(np.full((*size, 3), 90, np.uint8), [Mark(box_xyxy=(1, 1, 9, 9), caption="fire")])
    height, width = decode(data).shape[:2]
    assert data.startswith(b"\xff\xd8")
    assert height <= 330
    assert width <= 440
    assert len(data) < 60_000


def test_labels_are_broken_lines_of_their_colour_and_detections_whole_ones() -> None:
    grey = np.full((330, 440, 3), 90, np.uint8)
    box = (100.0, 100.0, 300.0, 200.0)
    labelled = decode(snapshot(grey, [Mark(box_xyxy=box, strong=True)]))
    found = decode(snapshot(grey, [Mark(box_xyxy=box, found=True, strong=True)]))
    assert near(found, FOUND)[100, 110:290].all()
    assert not near(found, LABELLED).any()
    share = near(labelled, LABELLED)[100, 110:290].mean()
    assert 0.3 < share < 0.9


def test_around_a_box_shows_it_in_the_middle_and_larger() -> None:
    picture = np.full((1000, 2000, 3), 90, np.uint8)
    picture[480:520, 980:1020] = 250
    part = decode(snapshot(picture, [], around=(980, 480, 1020, 520)))
    rows, columns = np.nonzero(part[..., 0] > 180)
    assert np.ptp(rows) > 100
    assert abs((rows.min() + rows.max()) / 2 - part.shape[0] / 2) < 4
    assert abs((columns.min() + columns.max()) / 2 - part.shape[1] / 2) < 4


@pytest.mark.parametrize("box", [(0, 0, 5, 5), (1990, 990, 2000, 1000), (0, 400, 2000, 410), (500, 500, 500, 500)])
def test_a_box_at_the_edge_stays_in_sight(box: tuple[float, float, float, float]) -> None:
    picture = np.full((1000, 2000, 3), 90, np.uint8)
    part = decode(snapshot(picture, [Mark(box_xyxy=box, found=True, strong=True)], around=box))
    assert near(part, FOUND).any()


def test_the_given_picture_stays_as_it_was() -> None:
    picture = np.full((330, 440, 3), 90, np.uint8)
    snapshot(picture, [Mark(box_xyxy=(0, 0, 400, 300), strong=True)])
    assert (picture == 90).all()


def test_css_colour() -> None:
    assert css_colour((0, 214, 160)) == "#00d6a0"
