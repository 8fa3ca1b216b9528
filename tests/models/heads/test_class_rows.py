from __future__ import annotations

import pytest

from sanderling.models.heads.class_rows import ClassRows

YOLO = ClassRows(groups=3, before=5)
IOU_AWARE = ClassRows(start=3, groups=3, before=5)


@pytest.mark.parametrize(
    ("rows", "outputs", "classes"),
    [
        (YOLO, 255, 80),
        (YOLO, 24, 3),
        (IOU_AWARE, 258, 80),
        (ClassRows(after=32), 112, 80),
        (ClassRows(groups=6, before=1), 546, 90),
        (ClassRows(), 7, 7),
    ],
)
def test_classes_of_an_output(rows: ClassRows, outputs: int, classes: int) -> None:
    assert rows.classes(outputs) == classes


@pytest.mark.parametrize(
    ("rows", "outputs"),
    [(YOLO, 256), (YOLO, 15), (YOLO, 0), (IOU_AWARE, 256), (IOU_AWARE, 2), (ClassRows(after=32), 32)],
)
def test_no_number_of_classes_gives_such_an_output(rows: ClassRows, outputs: int) -> None:
    assert rows.classes(outputs) is None
    with pytest.raises(ValueError, match=rf"{outputs} rows do not fit ClassRows"):
        rows.kept(outputs)


def test_kept_rows_belong_to_no_class() -> None:
    rows = ClassRows(start=1, groups=2, before=2, after=1)
    assert rows.kept(11).tolist() == [True, True, True, False, False, True, True, True, False, False, True]
    assert ClassRows(before=1).kept(3).tolist() == [True, False, False]
