from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.errors import UsageError
from sanderling.reporting.sheet import Tile, lay_on_sheet, write_sheet

RED = (255, 0, 0)


def _tile(value: int, *boxes: tuple[float, ...], size_hw: tuple[int, int] = (60, 300)) -> Tile:
    return Tile(
        image=np.full((*size_hw, 3), value, np.uint8),
        boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        captions=("",) * len(boxes),
        colours=(RED,) * len(boxes),
    )


def _box(image: NDArray[np.uint8]) -> list[int]:
    rows, columns = np.nonzero((image == RED).all(axis=2))
    return [int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())]


def test_pictures_follow_each_other_line_by_line() -> None:
    sheet = lay_on_sheet([_tile(value) for value in range(10, 60, 10)], columns=2)
    assert sheet.shape == (3 * 60 + 2 * 6, 2 * 300 + 6, 3)
    middles = [[int(sheet[30 + 66 * line, 150 + 306 * column, 0]) for column in range(2)] for line in range(3)]
    assert middles == [[10, 20], [30, 40], [50, 255]]


def test_without_columns_there_are_about_as_many_as_lines() -> None:
    assert lay_on_sheet([_tile(0)] * 16).shape == (4 * 66 - 6, 4 * 306 - 6, 3)
    assert lay_on_sheet([_tile(0)] * 2, columns=9).shape == (60, 606, 3)
    assert lay_on_sheet([_tile(0)]).shape == (60, 300, 3)


def test_boxes_stand_where_they_say_and_the_picture_stays_as_it_was() -> None:
    tile = _tile(90, (20, 10, 120, 40))
    sheet = lay_on_sheet([tile])
    assert _box(sheet) == [20, 10, 120, 40]
    assert (tile.image == 90).all()


def test_wide_sheets_are_shrunk_with_their_boxes() -> None:
    sheet = lay_on_sheet([_tile(90, (100, 20, 200, 40), size_hw=(61, 3001))])
    assert sheet.shape[1] == 2560
    assert np.abs(np.array(_box(sheet)) - np.array([100, 20, 200, 40]) * 2560 / 3001).max() <= 1


def test_tiny_pictures_are_enlarged_by_a_whole_number() -> None:
    image = np.random.default_rng(0).integers(0, 256, (37, 80, 3), np.uint8)
    tile = Tile(image=image, boxes_xyxy=np.zeros((0, 4)), captions=(), colours=())
    assert (lay_on_sheet([tile]) == image.repeat(3, axis=0).repeat(3, axis=1)).all()


@pytest.mark.parametrize(("name", "allowed"), [("sheet.png", 0), ("sheet.jpg", 12)])
def test_the_name_says_how_it_is_written(tmp_path: Path, name: str, allowed: int) -> None:
    sheet = np.full((20, 33, 3), (200, 100, 50), np.uint8)
    write_sheet(tmp_path / name, sheet)
    read = cv2.imread(str(tmp_path / name))
    assert read is not None
    assert np.abs(read[..., ::-1].astype(int) - sheet).max() <= allowed
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere/sheet\.png: cannot be written: No such file"):
        write_sheet(tmp_path / "nowhere" / "sheet.png", np.zeros((4, 4, 3), np.uint8))
