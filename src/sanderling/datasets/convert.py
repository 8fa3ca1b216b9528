"""From any of the three formats to any other, without losing a box."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from sanderling.config import dump_yaml
from sanderling.datasets.dataset import Dataset, check_same_classes
from sanderling.datasets.finding import Finding
from sanderling.datasets.labels import DataFormat
from sanderling.datasets.locate import open_all
from sanderling.datasets.new_folder import file_names, link_or_copy, new_folder
from sanderling.datasets.picture_file import upright_size
from sanderling.datasets.rules import found
from sanderling.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """What a conversion wrote.

    Attributes:
        output: the new folder.
        data_format: its format.
        pictures: written pictures by split.
        boxes: written boxes by split.
        not_kept: what the format has no place for, and for how many boxes (or classes) it was given.
        skipped: what could not be written, or was left out by the reader, and why.
    """

    output: str
    data_format: DataFormat
    pictures: dict[str, int]
    boxes: dict[str, int]
    not_kept: dict[str, int]
    skipped: tuple[Finding, ...]

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "output": self.output,
            "data_format": self.data_format,
            "pictures": dict(self.pictures),
            "boxes": dict(self.boxes),
            "not_kept": dict(self.not_kept),
            "skipped": [finding.to_plain() for finding in self.skipped],
        }


def convert(path: Path, *, to: DataFormat, output: Path, data_format: DataFormat | None = None) -> Conversion:
    """Write all splits of a data set in another format; pictures are hard-linked where possible.

    Raises:
        DataError: the data set cannot be read.
        UsageError: `output` exists already.
    """
    return write(open_all(path, data_format=data_format), to=to, output=output)


def write(datasets: Sequence[Dataset], *, to: DataFormat, output: Path) -> Conversion:
    """Write splits (at least one, all with the same classes) as one data set in a new folder.

    Raises:
        DataError: the splits differ in their classes, or two classes share a name, which VOC cannot tell apart.
        UsageError: `output` exists already.
    """
    check_same_classes(datasets)
    if to == "voc" and len(set(datasets[0].class_names)) < len(datasets[0].class_names):
        raise DataError(f"{datasets[0].name}: two classes share a name, which VOC cannot tell apart; rename one")
    skipped = [finding for dataset in datasets for finding in dataset.skipped]
    written: list[Dataset] = []
    with new_folder(output) as folder:
        for dataset in datasets:
            part, names = _place_pictures(dataset, folder / "images" / dataset.split, skipped)
            written.append(part)
            _WRITERS[to](part, names, folder)
        _finish(datasets, to, folder)
    return Conversion(
        output=str(output),
        data_format=to,
        pictures={dataset.split: len(dataset) for dataset in written},
        boxes={dataset.split: len(dataset.boxes_xyxy) for dataset in written},
        not_kept=_not_kept(written, to),
        skipped=tuple(skipped),
    )


def _place_pictures(dataset: Dataset, folder: Path, skipped: list[Finding]) -> tuple[Dataset, list[str]]:
    """Put the pictures into the new folder; give those that could be placed, with their true sizes, and their names."""
    folder.mkdir(parents=True)
    names = file_names(dataset)
    sizes: dict[int, tuple[int, int]] = {}
    for index, text in enumerate(dataset.picture_paths.tolist()):
        size = upright_size(Path(text))
        if isinstance(size, str):
            item = f"{dataset.split}: picture {dataset.picture_id(index)}"
            skipped.append(found(size, file=text, item=item, field="picture", value=text))
            continue
        link_or_copy(Path(text), folder / names[index])
        sizes[index] = size
    part = replace(dataset.subset(list(sizes)), sizes_hw=np.array(list(sizes.values()), np.int32).reshape(-1, 2))
    return part, [names[index] for index in sizes]


def _write_coco(dataset: Dataset, names: list[str], folder: Path) -> None:
    ids = _whole_ids(dataset)
    owners = np.repeat(np.arange(len(dataset)), np.diff(dataset.first_box)).tolist()
    annotations = [
        {
            "id": box + 1,
            "image_id": ids[owner],
            "category_id": dataset.category_ids[int(dataset.labels[box])],
            "bbox": [left, top, right - left, bottom - top],
            "area": float(dataset.areas[box]),
            "iscrowd": int(dataset.crowd[box]),
            # COCO has no such key; readers that do not know it pass it over.
            **({"difficult": 1} if dataset.difficult[box] else {}),
        }
        for box, (owner, (left, top, right, bottom)) in enumerate(zip(owners, dataset.boxes_xyxy.tolist(), strict=True))
    ]
    document = {
        "info": {"description": f"{dataset.name}, {dataset.split}"},
        "images": [
            {"id": number, "file_name": name, "width": width, "height": height}
            for number, name, (height, width) in zip(ids, names, dataset.sizes_hw.tolist(), strict=True)
        ],
        "annotations": annotations,
        "categories": [
            {"id": number, "name": name} for number, name in zip(dataset.category_ids, dataset.class_names, strict=True)
        ],
    }
    target = folder / "annotations" / f"instances_{dataset.split}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(document, allow_nan=False), encoding="utf-8")


def _write_voc(dataset: Dataset, names: list[str], folder: Path) -> None:
    target = folder / "Annotations" / dataset.split
    target.mkdir(parents=True)
    for index, name in enumerate(names):
        height, width = dataset.sizes_hw[index].tolist()
        where = dataset.boxes_of(index)
        lines = [
            "<annotation>",
            f"  <filename>{escape(name)}</filename>",
            f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        ]
        for box in range(where.start, where.stop):
            corners = zip(("xmin", "ymin", "xmax", "ymax"), dataset.boxes_xyxy[box].tolist(), strict=True)
            tags = "".join(f"<{corner}>{_decimal(value, digits=6)}</{corner}>" for corner, value in corners)
            lines += [
                "  <object>",
                f"    <name>{escape(dataset.class_names[int(dataset.labels[box])])}</name>",
                f"    <difficult>{int(dataset.difficult[box])}</difficult>",
                f"    <bndbox>{tags}</bndbox>",
                "  </object>",
            ]
        lines.append("</annotation>")
        (target / f"{Path(name).stem}.xml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_yolo(dataset: Dataset, names: list[str], folder: Path) -> None:
    target = folder / "labels" / dataset.split
    target.mkdir(parents=True)
    for index, name in enumerate(names):
        height, width = dataset.sizes_hw[index].tolist()
        where = dataset.boxes_of(index)
        corners = dataset.boxes_xyxy[where] / np.array([width, height, width, height], np.float64)
        centres = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)
        lines = [
            f"{label} " + " ".join(_decimal(value, digits=12) for value in centre) + "\n"
            for label, centre in zip(dataset.labels[where].tolist(), centres.tolist(), strict=True)
        ]
        (target / f"{Path(name).stem}.txt").write_text("".join(lines), encoding="utf-8")


_WRITERS: dict[DataFormat, Callable[[Dataset, list[str], Path], None]] = {
    "coco": _write_coco,
    "voc": _write_voc,
    "yolo": _write_yolo,
}


def _finish(datasets: Sequence[Dataset], to: DataFormat, folder: Path) -> None:
    """Write the file that speaks of all splits, where the format has one."""
    names = datasets[0].class_names
    if to == "voc":
        (folder / "classes.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    if to == "yolo":
        places = {dataset.split: f"images/{dataset.split}" for dataset in datasets}
        text = dump_yaml({"path": ".", **places, "names": dict(enumerate(names))})
        (folder / "data.yaml").write_text(text, encoding="utf-8")


def _not_kept(datasets: Sequence[Dataset], to: DataFormat) -> dict[str, int]:
    if to == "coco":
        return {}
    lost = {"crowd": 0, "area": 0, "difficult": 0}
    for dataset in datasets:
        sides = dataset.boxes_xyxy[:, 2:] - dataset.boxes_xyxy[:, :2]
        lost["crowd"] += int(dataset.crowd.sum())
        lost["area"] += int((~np.isclose(dataset.areas, sides.prod(axis=1), rtol=1e-6)).sum())
        lost["difficult"] += int(dataset.difficult.sum()) if to == "yolo" else 0
    first = 0 if to == "yolo" else 1
    ids = datasets[0].category_ids
    lost["category_id"] = sum(number != index for index, number in enumerate(ids, start=first))
    return {name: count for name, count in lost.items() if count}


def _whole_ids(dataset: Dataset) -> list[int]:
    """The pictures' own numbers where they are numbers and differ, otherwise 1, 2, 3, ..."""
    ids = dataset.picture_ids.tolist()
    if all(isinstance(number, int) for number in ids) and len(set(ids)) == len(ids):
        return ids
    return list(range(1, len(dataset) + 1))


def _decimal(value: float, *, digits: int) -> str:
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")
