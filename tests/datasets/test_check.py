"""A folder seeded with every fault that the check promises to find, in each of the three formats."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sanderling.datasets.check import CheckResult, check
from sanderling.datasets.finding import Finding
from sanderling.datasets.locate import open_dataset
from sanderling.datasets.rules import RULES
from sanderling.errors import DataError
from tests.support.shared import shared_path
from tests.support.small_sets import (
    clean_set,
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

# Every fault of the promise, and the rule that names it.
ERRORS = {
    "missing picture": "picture-missing",
    "unreadable picture": "picture-unreadable",
    "truncated picture": "picture-truncated",
    "zero-byte picture": "picture-empty",
    "box that is NaN": "box-not-finite",
    "infinite box": "box-not-finite",
    "negative box": "box-negative-size",
    "box of zero area": "box-zero-area",
    "box wholly outside": "box-outside",
    "fractions where pixels are meant": "box-normalised",
    "pixels where fractions are meant": "box-in-pixels",
    "xyxy where xywh is meant": "box-corners",
    "class id out of range": "class-out-of-range",
    "fractional class id": "class-fractional",
    "duplicate annotation id": "duplicate-id",
    "duplicate picture id": "duplicate-picture-id",
    "label without picture": "label-without-picture",
    "same picture in train and val": "picture-in-two-splits",
    "path that leaves the folder": "path-outside",
}
WARNINGS = {
    "PNG called .jpg": "picture-wrong-suffix",
    "EXIF-rotated picture": "picture-exif-rotated",
    "CMYK picture": "picture-cmyk",
    "palette picture": "picture-palette",
    "picture with alpha": "picture-alpha",
    "16-bit picture": "picture-16-bit",
    "animated picture": "picture-animated",
    "box partly outside": "box-partly-outside",
    "duplicate box": "duplicate-box",
    "duplicate picture": "duplicate-picture",
}
INFOS = {
    "category ids with gaps": "category-id-gaps",
    "crowd flag": "box-crowd",
    "picture without labels": "picture-without-labels",
    "byte order mark": "label-bom",
    "CRLF": "label-crlf",
}

GOOD = (8.0, 8.0, 24.0, 16.0)


def odd_pictures(folder: Path) -> dict[str, str]:
    """Write a picture of every odd kind; file name to the rule it breaks, empty for the good ones."""
    image = pixels(1)
    put(folder / "good.jpg", encoded(image))
    put(folder / "unreadable.jpg", b"\xff\xd8\xff\xe0 this is no picture \xff\xd9")
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


def pairs(result: CheckResult) -> list[tuple[str, str]]:
    """File and rule of each finding."""
    return [(finding.file, finding.rule) for finding in result.findings]


def assert_sound(result: CheckResult) -> None:
    """What holds for every check: counts add up, severities are those of the rules, no finding twice."""
    assert len(set(result.findings)) == len(result.findings)
    assert sum(result.rules.values()) == len(result.findings)
    for severity in ("error", "warning", "info"):
        assert result.counts[severity] == sum(finding.severity == severity for finding in result.findings)
    assert all(finding.severity == RULES[finding.rule].severity and finding.remedy for finding in result.findings)
    json.dumps(result.to_plain(), allow_nan=False)


def test_promised_severities() -> None:
    found = {**ERRORS, **WARNINGS, **INFOS}
    assert len(found) == 34
    assert {RULES[rule].severity for rule in ERRORS.values()} == {"error"}
    assert {RULES[rule].severity for rule in WARNINGS.values()} == {"warning"}
    assert {RULES[rule].severity for rule in INFOS.values()} == {"info"}


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


@pytest.mark.parametrize(
    ("build", "twice", "not_in_format"),
    [
        (faulty_coco, 0, {"box-in-pixels"}),
        (faulty_yolo, 1, {"box-normalised", "duplicate-id", "category-id-gaps", "box-crowd"}),
        (
            faulty_voc,
            1,
            {"box-in-pixels", "box-corners", "class-fractional", "duplicate-id", "category-id-gaps", "box-crowd"},
        ),
    ],
)
def test_every_fault_is_found_with_its_severity_in_every_format(
    tmp_path: Path, build: Any, twice: int, not_in_format: set[str]
) -> None:
    """`twice`: NaN and infinite boxes of one picture are two findings of one rule."""
    expected = build(tmp_path)
    result = check(tmp_path)
    assert_sound(result)
    assert set(pairs(result)) == expected
    assert len(result.findings) == len(expected) + twice
    promised = {*ERRORS.values(), *WARNINGS.values(), *INFOS.values()}
    assert promised - set(result.rules) == not_in_format
    assert result.has_errors


def test_every_fault_is_found_in_one_format_or_another(tmp_path: Path) -> None:
    rules: set[str] = set()
    for number, build in enumerate((faulty_coco, faulty_yolo, faulty_voc)):
        rules |= {rule for _, rule in build(tmp_path / str(number))}
    assert {*ERRORS.values(), *WARNINGS.values(), *INFOS.values()} <= rules


@pytest.mark.parametrize("build", [faulty_coco, faulty_yolo, faulty_voc])
def test_reader_leaves_out_what_the_check_calls_unusable(tmp_path: Path, build: Any) -> None:
    build(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    dataset = open_dataset(tmp_path, split="train")
    about_labels = [
        finding
        for finding in check(tmp_path).findings
        if RULES[finding.rule].skips
        and not finding.rule.startswith(("picture-", "no-"))
        and finding.file != "data.yaml"
    ]
    assert {finding.rule for finding in dataset.skipped if not finding.rule.startswith("picture-")} == {
        finding.rule for finding in about_labels
    }
    assert (dataset.boxes_xyxy[:, 2:] > dataset.boxes_xyxy[:, :2]).all()
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("data_format", ["coco", "yolo", "voc"])
def test_clean_set_has_no_findings(tmp_path: Path, data_format: str) -> None:
    result = check(clean_set(tmp_path, data_format))
    assert result.findings == ()
    assert result.counts == {"pictures": 5, "boxes": 6, "error": 0, "warning": 0, "info": 0}
    assert result.splits == ("train", "val")
    assert not result.has_errors


def test_item_names_label_file_and_annotation(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "train" / "a.jpg", 1)
    document = coco_document({"a.jpg": [(1, (10, 10, 0, 5))]})
    document["annotations"][0]["id"] = 77
    put_coco(tmp_path, "train", document)
    assert check(tmp_path).findings == (
        Finding(
            file="images/train/a.jpg",
            item="annotations/instances_train.json: annotation 77",
            field="bbox",
            value="[10, 10, 0, 5]",
            rule="box-zero-area",
            severity="error",
            remedy="draw the box again or delete it",
        ),
    )


def test_unknown_picture_id_is_the_value(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "train" / "a.jpg", 1)
    document = coco_document({"a.jpg": [(1, GOOD)]})
    document["annotations"].append({"id": 5, "image_id": 4711, "category_id": 1, "bbox": [1, 1, 2, 2]})
    put_coco(tmp_path, "train", document)
    (finding,) = check(tmp_path).findings
    assert (finding.rule, finding.field, finding.value) == ("label-without-picture", "image_id", 4711)


def test_a_split_that_cannot_be_read_is_an_error_and_the_others_are_checked(tmp_path: Path) -> None:
    clean_set(tmp_path, "coco")
    put(tmp_path / "annotations" / "instances_val.json", '{"images": [, "annotations": [], "categories": []}')
    result = check(tmp_path)
    assert result.rules == {"label-unreadable": 1}
    assert result.findings[0].file == "annotations/instances_val.json"
    assert result.splits == ("train",)


def test_a_set_of_which_no_split_exists_is_an_error(tmp_path: Path) -> None:
    put(tmp_path / "data.yaml", "train: images/train\nval: images/val\nnames: [fire]\n")
    put(tmp_path / "images", "../other/images")
    result = check(tmp_path)
    assert result.rules == {"no-split": 1, "split-missing": 2}
    assert "text file that holds '../other/images'" in str(result.findings[0].value)


def test_wrongly_stated_size_is_a_warning(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "train" / "a.jpg", 1)
    put_coco(tmp_path, "train", coco_document({"a.jpg": [(1, GOOD)]}, size_hw=(64, 48)))
    assert check(tmp_path).rules == {"picture-size-differs": 1}


def test_a_json_file_is_checked_alone(tmp_path: Path) -> None:
    clean_set(tmp_path, "coco")
    result = check(tmp_path / "annotations" / "instances_val.json")
    assert (result.splits, result.counts["pictures"]) == (("val",), 2)


def test_progress_counts_every_picture(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    check(clean_set(tmp_path, "yolo"), progress=lambda done, total: told.append((done, total)))
    assert told == [(number, 5) for number in range(1, 6)]


def test_no_data_set_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a COCO, YOLO or VOC data set"):
        check(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "data_format", "rules"),
    [
        ("bccd", "coco", {}),
        ("bccd", "voc", {"box-zero-area": 2}),
        ("cplid_insulators", "coco", {"duplicate-picture": 2}),
        ("cplid_insulators", "voc", {"duplicate-picture": 2}),
        ("coco_val2017_subset", "coco", {"box-crowd": 17, "category-id-gaps": 2}),
        ("fire_smoke_cctv", "coco", {"picture-without-labels": 71}),
    ],
)
def test_real_sets_have_their_true_findings_only(name: str, data_format: Any, rules: dict[str, int]) -> None:
    result = check(shared_path(f"data/{name}"), data_format=data_format)
    assert_sound(result)
    assert result.rules == rules


@pytest.mark.slow
def test_real_yolo_set_behind_a_link(tmp_path: Path) -> None:
    source = shared_path("data/fire_smoke_yolo")
    shutil.copy(source / "data.yaml", tmp_path)
    shutil.copytree(source / "labels", tmp_path / "labels")
    (tmp_path / "images").symlink_to(shared_path("data/fire_smoke_cctv/images"))
    result = check(tmp_path)
    assert result.counts["pictures"] == 449
    assert not result.has_errors
