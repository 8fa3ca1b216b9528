"""What the label files of one split say, before judgement: every reader ends here, `Dataset` and `check` start here.

Axes: P pictures, T boxes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.dataset import Dataset
from sanderling.datasets.finding import Finding
from sanderling.datasets.picture_file import upright_size
from sanderling.datasets.rules import RULES, BoxForm, Judgement, duplicate_boxes, found, judge
from sanderling.structures.sample import PictureId

DataFormat = Literal["coco", "yolo", "voc"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SplitLabels:
    """One split as its files write it.

    Attributes:
        root: the data set's folder; nothing that a file names may lie outside it.
        split: its name.
        class_names: in the order of `labels`.
        category_ids: the file's own number of each class.
        form: what the four numbers of a box mean.
        picture_paths: P.
        picture_ids: P, all int or all str.
        picture_items: P, the label file (and entry) that each picture's findings point at.
        sizes_hw: int32 Px2 as stated, (0, 0) where the file states none.
        picture_index: int64 T, the picture of each box.
        values: float64 Tx4 as written.
        labels: int64 T.
        areas: float64 T, NaN where not stated.
        crowd: bool T.
        difficult: bool T.
        box_item: names the label file and annotation of a box.
        findings: what the reader met on the way: entries it could not use, byte order marks and the like.
    """

    root: Path
    split: str
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    form: BoxForm
    picture_paths: list[Path]
    picture_ids: list[PictureId]
    picture_items: list[str]
    sizes_hw: NDArray[np.int32]
    picture_index: NDArray[np.int64]
    values: NDArray[np.float64]
    labels: NDArray[np.int64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]
    box_item: Callable[[int], str]
    findings: list[Finding] = field(default_factory=list)

    def shown(self, path: Path) -> str:
        """A path as findings show it: relative to the data set's folder where it lies inside."""
        return shown(path, self.root)

    def judged(self) -> tuple[Judgement, list[Finding]]:
        """Judge every box; the findings are in the order of the boxes."""
        judgement = judge(self.values, self.form, self.sizes_hw[self.picture_index], self.areas)
        repeated = duplicate_boxes(self.picture_index, self.labels, self.values) & judgement.kept
        findings = []
        for box in np.flatnonzero((judgement.rules != "") | repeated | self.crowd).tolist():
            findings += [
                self._about_box(box, rule)
                for rule, applies in (
                    (str(judgement.rules[box]), judgement.rules[box] != ""),
                    ("duplicate-box", repeated[box]),
                    ("box-crowd", self.crowd[box]),
                )
                if applies
            ]
        return judgement, findings

    def without_labels(self) -> Iterator[int]:
        """The pictures for which no box is written at all."""
        labelled = np.zeros(len(self.picture_paths), np.bool_)
        labelled[self.picture_index] = True
        yield from np.flatnonzero(~labelled).tolist()

    def about_picture(self, picture: int, rule: str, field: str, value: str | int | float | None) -> Finding:
        """A finding on a picture of this split."""
        item = self.picture_items[picture]
        return found(rule, file=self.shown(self.picture_paths[picture]), item=item, field=field, value=value)

    def to_dataset(self, name: str) -> Dataset:
        """Keep what can be used: clip, sort by picture, list what was left out."""
        judgement, findings = self.judged()
        skipped = [finding for finding in [*self.findings, *findings] if RULES[finding.rule].skips]
        used = np.ones(len(self.picture_paths), np.bool_)
        if self.form == "fractions":
            # Without the picture's size its boxes have no pixels; as background it would teach a lie.
            used = np.asarray((self.sizes_hw > 0).all(axis=1), np.bool_)
            for picture in np.flatnonzero(~used).tolist():
                size = upright_size(self.picture_paths[picture])
                rule = size if isinstance(size, str) else "picture-unreadable"
                skipped.append(self.about_picture(picture, rule, "picture", str(self.picture_paths[picture])))
        place = np.cumsum(used) - 1
        kept = np.flatnonzero(judgement.kept & used[self.picture_index])
        picture_index = place[self.picture_index[kept]]
        order = np.argsort(picture_index, kind="stable")
        kept, picture_index = kept[order], picture_index[order]
        boxes = judgement.boxes_xyxy[kept]
        sides = boxes[:, 2:] - boxes[:, :2]
        stated = self.areas[kept]
        counts = np.bincount(picture_index, minlength=int(used.sum()))
        chosen = np.flatnonzero(used).tolist()
        return Dataset(
            name=name,
            split=self.split,
            class_names=self.class_names,
            category_ids=self.category_ids,
            picture_paths=np.array([str(self.picture_paths[picture]) for picture in chosen], dtype=np.str_),
            picture_ids=_id_array([self.picture_ids[picture] for picture in chosen]),
            sizes_hw=self.sizes_hw[used],
            first_box=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            boxes_xyxy=boxes,
            areas=np.where(stated > 0, stated, sides[:, 0] * sides[:, 1]),
            labels=self.labels[kept],
            crowd=self.crowd[kept],
            difficult=self.difficult[kept],
            skipped=tuple(skipped),
        )

    def _about_box(self, box: int, rule: str) -> Finding:
        values = "[" + ", ".join(_number(value) for value in self.values[box].tolist()) + "]"
        file = self.shown(self.picture_paths[int(self.picture_index[box])])
        field, value = ("iscrowd", "1") if rule == "box-crowd" else (_FIELDS[self.form], values)
        return found(rule, file=file, item=self.box_item(box), field=field, value=value)


class LabelBuilder:
    """Gathers one split box by box, for the formats that are read line by line."""

    def __init__(self, root: Path, findings: list[Finding]) -> None:
        self.root, self.findings = root, findings
        self.paths: list[Path] = []
        self.ids: list[PictureId] = []
        self.items: list[str] = []
        self.sizes: list[tuple[int, int]] = []
        self.boxes: list[tuple[int, int, bool, str]] = []
        self.values: list[Sequence[float]] = []

    def add_picture(self, path: Path, picture_id: PictureId, *, item: str, size_hw: tuple[int, int] = (0, 0)) -> None:
        """Begin a picture; the boxes that follow are its."""
        self.paths.append(path)
        self.ids.append(picture_id)
        self.items.append(item)
        self.sizes.append(size_hw)

    def add_box(self, values: Sequence[float], label: int, *, item: str, difficult: bool = False) -> None:
        """Add a box of the picture that was begun last."""
        self.values.append(values)
        self.boxes.append((len(self.paths) - 1, label, difficult, item))

    def report(self, rule: str, *, file: Path, item: str, field: str, value: str | int | float | None) -> None:
        """Note a finding on a file."""
        self.findings.append(found(rule, file=shown(file, self.root), item=item, field=field, value=value))

    def build(
        self, split: str, form: BoxForm, class_names: tuple[str, ...], category_ids: tuple[int, ...]
    ) -> SplitLabels:
        """Give the arrays; sizes that were not stated are read from the pictures."""
        sizes_hw = np.array(self.sizes, np.int32).reshape(-1, 2)
        fill_sizes(sizes_hw, self.paths)
        return SplitLabels(
            root=self.root,
            split=split,
            class_names=class_names,
            category_ids=category_ids,
            form=form,
            picture_paths=self.paths,
            picture_ids=self.ids,
            picture_items=self.items,
            sizes_hw=sizes_hw,
            picture_index=np.array([box[0] for box in self.boxes], np.int64),
            values=np.array(self.values, np.float64).reshape(-1, 4),
            labels=np.array([box[1] for box in self.boxes], np.int64),
            areas=np.full(len(self.boxes), np.nan),
            crowd=np.zeros(len(self.boxes), np.bool_),
            difficult=np.array([box[2] for box in self.boxes], np.bool_),
            box_item=lambda box: self.boxes[box][3],
            findings=self.findings,
        )


_FIELDS: dict[BoxForm, str] = {"xywh": "bbox", "xyxy": "bndbox", "fractions": "box"}


def shown(path: Path, root: Path) -> str:
    """A path relative to `root` where it lies inside, else as it is."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def inside(root: Path, base: Path, written: str) -> Path | None:
    """Resolve a path that a file names against `base`; None when it leaves `root`.

    Only the text is looked at: a link inside the folder may lead elsewhere, a name may not.
    """
    # As text: pathlib takes ten times as long, and a label file may name a hundred thousand pictures.
    path, top = os.path.normpath(os.path.join(base, written.replace("\\", "/"))), os.fspath(root)  # noqa: PTH118
    within = path == top or path.startswith(os.path.join(top, ""))  # noqa: PTH118
    return Path(path) if within and "\0" not in written else None


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; False also for what no file system would take as a name."""
    return os.path.exists(path)  # noqa: PTH110 - pathlib's raises for a name that is too long


def text_findings(data: bytes, path: Path, root: Path) -> list[Finding]:
    """What is peculiar about the bytes of a label file."""
    findings = []
    name = shown(path, root)
    if data.startswith(b"\xef\xbb\xbf"):
        findings.append(found("label-bom", file=name, item=name, field="first bytes", value="EF BB BF"))
    if b"\r\n" in data:
        findings.append(found("label-crlf", file=name, item=name, field="line ends", value="CRLF"))
    return findings


def fill_sizes(sizes_hw: NDArray[np.int32], picture_paths: list[Path]) -> None:
    """Read the missing sizes (0, 0) from the pictures' headers, in place; unreadable ones stay (0, 0)."""
    for picture in np.flatnonzero((sizes_hw <= 0).any(axis=1)).tolist():
        size = upright_size(picture_paths[picture])
        sizes_hw[picture] = (0, 0) if isinstance(size, str) else size


def _number(value: float) -> str:
    return str(int(value)) if np.isfinite(value) and value == int(value) else repr(value)


def _id_array(ids: list[PictureId]) -> NDArray[np.int64] | NDArray[np.str_]:
    if all(isinstance(entry, int) and abs(entry) < 1 << 63 for entry in ids):
        return np.array(ids, np.int64)
    return np.array([str(entry) for entry in ids], np.str_)
