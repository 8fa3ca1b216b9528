"""What the tests of assigners hold their results against: who owns a point, a plain IoU, boxes that own none."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.objectives.assigners.assignment import Assignment
from sanderling.structures.batch import Targets

BOXES_WITHOUT_A_POINT = {
    "between the points": [17.0, 17.0, 19.0, 19.0],
    "a point exactly on its corner": [16.0, 16.0, 20.0, 20.0],
    "no width": [50.0, 40.0, 50.0, 60.0],
    "outside the picture": [400.0, 400.0, 440.0, 440.0],
}
"""No point lies inside, whether cells of 8, 16 and 32 pixels have it in their middle or in their corner."""


def owners(assigned: Assignment, targets: Targets) -> list[dict[int, int]]:
    """Point -> box for each picture, boxes counted within the picture."""
    found: list[dict[int, int]] = [{} for _ in range(targets.pictures)]
    first = [int((targets.picture_index < picture).sum()) for picture in range(targets.pictures)]
    rows = zip(assigned.pictures.tolist(), assigned.points.tolist(), assigned.boxes.tolist(), strict=True)
    for picture, point, box in rows:
        found[picture][point] = box - first[picture]
    return found


def plain_iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Of two boxes xyxy."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)
