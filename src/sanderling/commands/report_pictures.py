"""The pictures of a report: examples, the largest misses, the surest false alarms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError
from sanderling.evaluation.flat import FlatDetections
from sanderling.evaluation.mistakes import Mistake, worst_mistakes
from sanderling.ops.array.boxes import iou
from sanderling.pictures import decode
from sanderling.reporting.page import Block, Legend, Picture, PictureGrid, Section, Text
from sanderling.reporting.snapshots import FOUND, LABELLED, Mark, css_colour, snapshot
from sanderling.structures.detections import Detections
from sanderling.structures.report import Report

_EXAMPLES = 9
_MISTAKES = 12
_MOST_CAPTIONS = 12
_LONGEST_NAME = 40
_SAME_BOX_PX = 0.51
_TOUCHING = 0.1
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Shown:
    """A labelled or detected box with the name of its class."""

    box_xyxy: tuple[float, float, float, float]
    name: str
    score: float = 1.0

    @property
    def text(self) -> str:
        return f"{self.name} {self.score:.2f}"

    def same_as(self, other: _Shown) -> bool:
        near = np.abs(np.subtract(self.box_xyxy, other.box_xyxy)).max() < _SAME_BOX_PX
        return bool(near) and self.name == other.name

    def nearest(self, others: Sequence[_Shown]) -> list[_Shown]:
        """The few that overlap this one most."""
        boxes = np.array([other.box_xyxy for other in others]).reshape(-1, 4)
        overlaps = iou(np.array([self.box_xyxy]), boxes)[0]
        order = np.argsort(-overlaps, kind="stable")[:_MOST_NAMED]
        return [others[place] for place in order.tolist() if overlaps[place] > _TOUCHING]


class Album:
    """Pictures of a measured split with labels and detections drawn.

    Attributes:
        unreadable: pictures that could not be decoded, path to reason.
    """

    def __init__(self, dataset: Dataset, detections: Sequence[Detections], report: Report) -> None:
        self.unreadable: dict[str, str] = {}
        self._dataset = dataset
        self._detections = detections
        self._report = report
        self._thresholds = {entry.name: entry.threshold or 0.0 for entry in report.per_class}
        self._read = lru_cache(maxsize=4)(self._decode)

    def sections(self, found: FlatDetections, *, threshold: float) -> list[Section]:
        """One section each for examples, misses and false alarms.

        Args:
            found: the same detections, flat.
            threshold: lowest score in the examples.
        """
        mistakes = worst_mistakes(self._dataset, found, self._report, limit=_MISTAKES)
        examples = f"Pictures evenly spread over the split, with the detections that score at least {threshold:.2f}."
        return [
            self._section("Examples", examples, list(self._examples(threshold))),
            self._section("Worst misses", _MISSES_TEXT, list(self._mistakes(mistakes, "miss"))),
            self._section("Worst false alarms", _ALARMS_TEXT, list(self._mistakes(mistakes, "false alarm"))),
        ]

    def _section(self, title: str, text: str, pictures: list[Picture]) -> Section:
        if not pictures:
            return Section(title=title, blocks=(Text(text="There are none to show."),))
        blocks: tuple[Block, ...] = (
            Text(text=text),
            Legend(entries={"labelled": (css_colour(LABELLED), True), "found": (css_colour(FOUND), False)}),
            PictureGrid(pictures=tuple(pictures)),
        )
        return Section(title=title, blocks=blocks)

    def _examples(self, threshold: float) -> Iterator[Picture]:
        """Pictures evenly spread over the split; of those with objects where there are any."""
        with_boxes = np.flatnonzero(np.diff(self._dataset.first_box))
        choice = with_boxes if len(with_boxes) else np.arange(len(self._dataset))
        places = np.linspace(0, len(choice) - 1, min(_EXAMPLES, len(choice))).round().astype(int)
        for index in choice[places].tolist():
            image = self._read(index)
            if image is None:
                continue
            labelled = self._labelled(index)
            found = [mark for mark in self._found(index) if mark.score >= threshold]
            written = len(found) <= _MOST_CAPTIONS
            marks = [
                *(Mark(box_xyxy=mark.box_xyxy) for mark in labelled),
                *(Mark(box_xyxy=mark.box_xyxy, caption=mark.text if written else "", found=True) for mark in found),
            ]
            caption = f"{len(labelled)} labelled, {len(found)} found\n{self._name(index)}"
            yield Picture(data=snapshot(image, marks), alt=caption.replace("\n", ", "), caption=caption)

    def _mistakes(self, mistakes: Sequence[Mistake], kind: str) -> Iterator[Picture]:
        for mistake in mistakes:
            image = self._read(mistake.picture_index) if mistake.kind == kind else None
            if image is None:
                continue
            name, found = self._dataset.class_names[mistake.label], mistake.kind == "false alarm"
            focus = _Shown(mistake.box_xyxy, name, mistake.score if found and mistake.score is not None else 1.0)
            # Of the rest only what has to do with this box is named; other labels are drawn, other detections not.
            labelled = [mark for mark in self._labelled(mistake.picture_index) if found or not mark.same_as(focus)]
            alarms = [
                mark
                for mark in self._found(mistake.picture_index)
                if mark.score >= self._thresholds.get(mark.name, 0.0) and not (found and mark.same_as(focus))
            ]
            named = [focus.nearest(labelled) if found else [], focus.nearest(alarms)]
            marks = [
                Mark(box_xyxy=focus.box_xyxy, caption=focus.text if found else name, found=found, strong=True),
                *(Mark(box_xyxy=mark.box_xyxy, caption=mark.name if mark in named[0] else "") for mark in labelled),
                *(Mark(box_xyxy=mark.box_xyxy, caption=mark.text, found=True) for mark in named[1]),
            ]
            caption = self._caption(mistake)
            yield Picture(
                data=snapshot(image, marks, around=mistake.box_xyxy),
                alt=f"{kind}: {caption}".replace("\n", ", "),
                caption=caption,
            )

    def _caption(self, mistake: Mistake) -> str:
        name = self._dataset.class_names[mistake.label]
        left, top, right, bottom = mistake.box_xyxy
        threshold = f"threshold {self._thresholds.get(name, 0.0):.2f}"
        if mistake.score is None:
            said = "no detection of any score"
        else:
            said = f"{'best ' if mistake.kind == 'miss' else ''}score {mistake.score:.2f} ({threshold})"
        size = f"{right - left:.0f} x {bottom - top:.0f} px"
        return f"{name}, {size}, {said}\n{self._name(mistake.picture_index)}"

    def _labelled(self, index: int) -> list[_Shown]:
        where, names = self._dataset.boxes_of(index), self._dataset.class_names
        return [
            _Shown(_box(box), names[label])
            for box, label in zip(self._dataset.boxes_xyxy[where], self._dataset.labels[where].tolist(), strict=True)
        ]

    def _found(self, index: int) -> list[_Shown]:
        """The detections of classes that the data set has."""
        found = self._detections[index]
        rows = zip(found.boxes_xyxy, found.labels.tolist(), found.scores.tolist(), strict=True)
        return [
            _Shown(_box(box), found.class_names[label], score)
            for box, label, score in rows
            if found.class_names[label] in self._dataset.class_names and np.isfinite(box).all()
        ]

    def _name(self, index: int) -> str:
        name = Path(str(self._dataset.picture_paths[index])).name
        return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME // 2]}…{name[-_LONGEST_NAME // 2 :]}"

    def _decode(self, index: int) -> NDArray[np.uint8] | None:
        path = str(self._dataset.picture_paths[index])
        try:
            return decode(Path(path))
        except DataError as error:
            self.unreadable[path] = str(error)
            return None


_MISSES_TEXT = "The largest objects that no detection finds at the threshold of their class, with their surroundings."
_ALARMS_TEXT = (
    "The highest scored detections that find no object of their class at an IoU of 0.50: false, misplaced, of the "
    "wrong class, or right where a label is missing."
)


def _box(box: NDArray[np.floating]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(edge) for edge in box)
    return left, top, right, bottom
