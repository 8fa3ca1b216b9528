"""Small data sets on disk in the three formats, and pictures of every odd kind: what the data tests are made of."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Box = Sequence[float]


def pixels(seed: int, size_hw: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    """A picture that no other seed gives: soft blobs of colour, uint8 HxWx3 RGB."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    height, width = size_hw
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR), np.uint8)


def encoded(image: NDArray[np.uint8], kind: str = "JPEG", **options: Any) -> bytes:
    """The bytes of a picture file."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind, **options)
    return stream.getvalue()


def put(path: Path, data: bytes | str) -> Path:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def put_picture(path: Path, seed: int, size_hw: tuple[int, int] = (48, 64)) -> Path:
    """Write a JPEG of `pixels(seed)`."""
    return put(path, encoded(pixels(seed, size_hw)))


def coco_document(
    pictures: Mapping[str, Sequence[tuple[int, Box]]],
    *,
    names: Mapping[int, str] | None = None,
    size_hw: tuple[int, int] = (48, 64),
) -> dict[str, Any]:
    """A COCO document: file name to (category id, [left, top, width, height]) of its boxes."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, boxes) in enumerate(pictures.items(), start=1):
        images.append({"id": number, "file_name": name, "width": size_hw[1], "height": size_hw[0]})
        for category, box in boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": category,
                    "bbox": list(box),
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in (names or {1: "fire", 2: "smoke"}).items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def put_coco(folder: Path, split: str, document: Mapping[str, Any]) -> Path:
    """Write `annotations/instances_SPLIT.json`."""
    return put(folder / "annotations" / f"instances_{split}.json", json.dumps(document))


def voc_object(name: str, box: Sequence[Any], *, difficult: int = 0) -> str:
    """One object of a VOC file, corners as given."""
    corners = "".join(
        f"<{tag}>{value}</{tag}>" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{corners}</bndbox></object>"


def voc_text(file_name: str, objects: Sequence[str], size_hw: tuple[int, int] = (48, 64)) -> str:
    """A VOC file."""
    height, width = size_hw
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>{file_name}</filename>{size}{''.join(objects)}</annotation>\n"


def clean_set(folder: Path, data_format: str) -> Path:
    """A data set without any fault: train of 3 pictures with 4 boxes, val of 2 with 2; fire and smoke, 48 x 64 px."""
    boxes: dict[str, dict[str, list[tuple[int, Box]]]] = {
        "train": {
            "a.jpg": [(1, (4, 6, 20, 12)), (2, (30.5, 10.25, 21.5, 30))],
            "b.jpg": [(2, (0, 0, 64, 48))],
            "c.jpg": [(1, (50, 40, 14, 8))],
        },
        "val": {"d.jpg": [(1, (10, 10, 10, 10))], "e.jpg": [(2, (5, 5, 33, 21))]},
    }
    seed = 0
    for split, pictures in boxes.items():
        for name, entries in pictures.items():
            seed += 1
            put_picture(folder / "images" / split / name, seed)
            stem = Path(name).stem
            if data_format == "yolo":
                put(folder / "labels" / split / f"{stem}.txt", "".join(yolo_line(c - 1, box) for c, box in entries))
            if data_format == "voc":
                objects = [voc_object(_NAMES[c], (x, y, x + w, y + h)) for c, (x, y, w, h) in entries]
                put(folder / "Annotations" / split / f"{stem}.xml", voc_text(name, objects))
        if data_format == "coco":
            put_coco(folder, split, coco_document(pictures))
    if data_format == "yolo":
        put(folder / "data.yaml", "train: images/train\nval: images/val\nnames: [fire, smoke]\n")
    return folder


def yolo_line(label: int, box: Box, size_hw: tuple[int, int] = (48, 64)) -> str:
    """A line of a YOLO label file for [left, top, width, height] in pixels."""
    x, y, w, h = box
    height, width = size_hw
    return f"{label} {(x + w / 2) / width} {(y + h / 2) / height} {w / width} {h / height}\n"


_NAMES = {1: "fire", 2: "smoke"}
