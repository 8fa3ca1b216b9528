"""Data sets seeded with every fault that the check promises to find, in each of the three formats.

Each builder returns what must be found: the file and the rule of every finding.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from tests.support.small_sets import (
    coco_document,
    encoded,
    pixels,
    put,
    put_coco,
    put_picture,
    voc_object,
    voc_text,
    yolo_line,
)

GOOD = (8.0, 8.0, 24.0, 16.0)


def odd_pictures(folder: Path) -> dict[str, str]:
    """Write a picture of every odd kind; file name to the rule it breaks, empty for the good ones."""
    image = pixels(1)
    put(folder / "good.jpg", encoded(image))
    put(folder / "unreadable.jpg", b"<html>404 not found</html>")
    put(folder / "truncated.jpg", encoded(pixels(2, (120, 160)))[:900])
    put(folder / "empty.jpg", b"")
    put(folder / "wrong_suffix.jpg", encoded(pixels(3), "PNG"))
    exif = Image.Exif()
    exif[0x0112] = 6
    put(folder / "rotated.jpg", encoded(pixels(4, (64, 48)), exif=exif))
    Image.fromarray(pixels(5)).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(pixels(6)).convert("P").save(folder / "palette.png")
    Image.fromarray(pixels(7)).convert("RGBA").save(folder / "alpha.png")
    Image.fromarray(pixels(8)[..., 0].astype("uint16") * 200).save(folder / "deep.png")
    frames = [Image.fromarray(pixels(seed)) for seed in (9, 10)]
    frames[0].save(folder / "animated.webp", save_all=True, append_images=frames[1:], lossless=True)
    put(folder / "copy.png", encoded(pixels(11), "PNG"))
    put(folder / "original.png", encoded(pixels(11), "PNG", compress_level=1))
    return {
        "good.jpg": "",
        "missing.jpg": "picture-missing",
        "unreadable.jpg": "picture-unreadable",
        "truncated.jpg": "picture-truncated",
        "empty.jpg": "picture-empty",
        "wrong_suffix.jpg": "picture-wrong-suffix",
        "rotated.jpg": "picture-exif-rotated",
        "cmyk.jpg": "picture-cmyk",
        "palette.png": "picture-palette",
        "alpha.png": "picture-alpha",
        "deep.png": "picture-16-bit",
        "animated.webp": "picture-animated",
        "copy.png": "",
        "original.png": "duplicate-picture",
    }


def expected_about_pictures(odd: dict[str, str], *, without: tuple[str, ...] = ()) -> set[tuple[str, str]]:
    return {(f"images/train/{name}", rule) for name, rule in odd.items() if rule and name not in without}


def faulty_coco(folder: Path) -> set[tuple[str, str]]:
    """Every fault that COCO can hold; what must be found."""
    odd = odd_pictures(folder / "images" / "train")
    document = coco_document({name: [(1, GOOD)] for name in odd}, names={1: "fire", 2: "smoke", 7: "crane"})
    by_name = {image["file_name"]: image["id"] for image in document["images"]}
    expected = expected_about_pictures(odd)

    def seed(rule: str, box: list[Any], *, file: str = "good.jpg", category: Any = 1, **rest: Any) -> None:
        number = len(document["annotations"]) + 1
        entry = {"id": number, "image_id": by_name[file], "category_id": category, "bbox": box, **rest}
        document["annotations"].append(entry)
        expected.add((f"images/train/{file}", rule))

    seed("box-not-finite", [float("nan"), 2, 3, 4])
    seed("box-not-finite", [1, 2, float("inf"), 4], file="copy.png")
    seed("box-negative-size", [30, 30, -5, 8])
    seed("box-zero-area", [30, 30, 0, 8])
    seed("box-outside", [200, 10, 5, 5])
    seed("box-normalised", [0.25, 0.25, 0.5, 0.125])
    seed("box-corners", [20, 20, 60, 40], area=800)
    seed("box-malformed", [1, 2, 3])
    seed("class-out-of-range", [9, 9, 9, 9], category=99)
    seed("class-fractional", [9, 9, 9, 9], category=1.5)
    seed("box-partly-outside", [-4, 10, 20, 20])
    seed("duplicate-box", list(GOOD))
    seed("box-crowd", [3, 3, 30, 30], iscrowd=1)
    seed("duplicate-id", [2, 2, 7, 7], file="copy.png")
    document["annotations"][-1]["id"] = 1
    document["annotations"].append({"id": 900, "image_id": 4711, "category_id": 1, "bbox": [1, 1, 2, 2]})
    document["images"].append({"id": 1, "file_name": "again.jpg", "width": 64, "height": 48})
    document["images"].append({"id": 501, "file_name": "../../../secret.jpg", "width": 64, "height": 48})
    document["images"].append({"id": 502, "file_name": "background.jpg", "width": 64, "height": 48})
    put_picture(folder / "images" / "train" / "background.jpg", 60)
    put(
        folder / "annotations" / "instances_train.json",
        b"\xef\xbb\xbf" + json.dumps(document, indent=0).replace("\n", "\r\n").encode(),
    )
    put(folder / "images" / "val" / "seen.jpg", encoded(pixels(1)))
    put_coco(folder, "val", coco_document({"seen.jpg": [(1, GOOD)]}, names={1: "fire", 2: "smoke", 7: "crane"}))
    label = "annotations/instances_train.json"
    return expected | {
        (label, "label-without-picture"),
        ("images/train/again.jpg", "duplicate-picture-id"),
        ("../../../secret.jpg", "path-outside"),
        ("images/train/background.jpg", "picture-without-labels"),
        (label, "label-bom"),
        (label, "label-crlf"),
        (label, "category-id-gaps"),
        ("annotations/instances_val.json", "category-id-gaps"),
        ("images/val/seen.jpg", "picture-in-two-splits"),
    }


def faulty_yolo(folder: Path) -> set[tuple[str, str]]:
    """Every fault that YOLO can hold; what must be found."""
    odd = odd_pictures(folder / "images" / "train")
    put(folder / "data.yaml", "train: train.txt\nval: images/val\ntest: ../elsewhere\nnc: 2\nnames: [fire, smoke]\n")
    listed = [*(f"images/train/{name}" for name in odd), "../../../secret.jpg", "images/train/background.jpg"]
    for name in odd:
        put(folder / "labels" / "train" / f"{Path(name).stem}.txt", yolo_line(0, GOOD))
    lines = {
        "box-not-finite": "0 nan 0.5 0.1 0.1",
        "box-negative-size": "0 0.5 0.5 -0.1 0.2",
        "box-zero-area": "0 0.5 0.5 0 0.2",
        "box-outside": "0 1.5 0.5 0.1 0.1",
        "box-in-pixels": "0 30 20 10 12",
        "box-corners": "0 0.7 0.7 0.95 0.98",
        "box-malformed": "0 0.5 0.5 0.1",
        "class-out-of-range": "7 0.5 0.5 0.1 0.1",
        "class-fractional": "0.5 0.5 0.5 0.1 0.1",
        "label-malformed": "fire 0.5 0.5 0.1 0.1",
        "box-partly-outside": "0 0.05 0.5 0.3 0.1",
        "duplicate-box": yolo_line(0, GOOD).strip(),
    }
    text = yolo_line(0, GOOD) + "\n".join(lines.values()) + "\n0 inf 0.5 0.1 0.1\n"
    put(folder / "labels" / "train" / "good.txt", b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    put_picture(folder / "images" / "train" / "background.jpg", 60)
    put_picture(folder / "images" / "train" / "good.png", 61)
    listed.append("images/train/good.png")
    put(folder / "labels" / "train" / "orphan.txt", yolo_line(0, GOOD))
    put(folder / "train.txt", "\n".join(listed) + "\n")
    put(folder / "images" / "val" / "seen.jpg", encoded(pixels(1)))
    put(folder / "labels" / "val" / "seen.txt", yolo_line(0, GOOD))
    return (
        expected_about_pictures(odd)
        | {("images/train/good.jpg", rule) for rule in lines}
        | {
            ("data.yaml", "path-outside"),
            ("../../../secret.jpg", "path-outside"),
            ("images/train/background.jpg", "picture-without-labels"),
            ("images/train/good.png", "duplicate-picture-id"),
            ("labels/train/orphan.txt", "label-without-picture"),
            ("labels/train/good.txt", "label-bom"),
            ("labels/train/good.txt", "label-crlf"),
            ("images/val/seen.jpg", "picture-in-two-splits"),
        }
    )


def faulty_voc(folder: Path) -> set[tuple[str, str]]:
    """Every fault that VOC can hold; what must be found."""
    odd = odd_pictures(folder / "JPEGImages")
    for name in odd:
        objects = [voc_object("fire", (8, 8, 32, 24))]
        put(folder / "Annotations" / f"{Path(name).stem}.xml", voc_text(name, objects))
    boxes: dict[str, tuple[Any, ...]] = {
        "box-not-finite": ("nan", 2, 30, 20),
        "box-negative-size": (30, 30, 20, 40),
        "box-zero-area": (30, 30, 30, 40),
        "box-outside": (200, 10, 210, 20),
        "box-normalised": (0.25, 0.25, 0.5, 0.75),
        "box-malformed": ("left", 2, 30, 20),
        "box-partly-outside": (-4, 10, 20, 30),
        "duplicate-box": (8, 8, 32, 24),
    }
    objects = [voc_object("fire", (8, 8, 32, 24)), *(voc_object("fire", box) for box in boxes.values())]
    objects += [voc_object("dragon", (1, 2, 30, 20)), voc_object("fire", (1, 2, "inf", 20))]
    text = voc_text("good.jpg", objects).replace("<object>", "\r\n<object>")
    put(folder / "Annotations" / "good.xml", b"\xef\xbb\xbf" + text.encode())
    put(folder / "classes.txt", "fire\nsmoke\n")
    put_picture(folder / "JPEGImages" / "background.jpg", 60)
    put_picture(folder / "JPEGImages" / "good.png", 61)
    put_picture(folder / "JPEGImages" / "strays.jpg", 62)
    put(folder / "Annotations" / "strays.xml", voc_text("../../../secret.jpg", []))
    put(folder / "Annotations" / "orphan.xml", voc_text("orphan.jpg", []))
    put(folder / "Annotations" / "torn.xml", "<annotation><object>")
    put_picture(folder / "JPEGImages" / "torn.jpg", 63)
    put(folder / "JPEGImages" / "seen.jpg", encoded(pixels(1)))
    put(folder / "Annotations" / "seen.xml", voc_text("seen.jpg", [voc_object("fire", (8, 8, 32, 24))]))
    train = [*(Path(name).stem for name in odd), "background", "strays", "torn", "../../etc/passwd"]
    put(folder / "ImageSets" / "Main" / "train.txt", "\n".join(train) + "\n")
    put(folder / "ImageSets" / "Main" / "val.txt", "seen\n")
    pictures = {(f"JPEGImages/{name}", rule) for name, rule in odd.items() if rule}
    return (
        pictures
        | {("JPEGImages/good.jpg", rule) for rule in (*boxes, "class-out-of-range")}
        | {
            ("../../../secret.jpg", "path-outside"),
            ("../../etc/passwd", "path-outside"),
            ("JPEGImages/background.jpg", "picture-without-labels"),
            ("JPEGImages/good.png", "duplicate-picture-id"),
            ("Annotations/orphan.xml", "label-without-picture"),
            ("JPEGImages/torn.jpg", "label-unreadable"),
            ("Annotations/good.xml", "label-bom"),
            ("Annotations/good.xml", "label-crlf"),
            ("JPEGImages/seen.jpg", "picture-in-two-splits"),
        }
    )
