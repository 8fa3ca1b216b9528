"""A folder seeded with every fault that the check promises to find, in each of the three formats."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from sanderling.datasets.check import CheckResult, check
from sanderling.datasets.finding import Finding
from sanderling.datasets.locate import open_dataset
from sanderling.datasets.rules import RULES
from sanderling.errors import DataError, UsageError
from tests.support.faulty_sets import GOOD, faulty_coco, faulty_voc, faulty_yolo
from tests.support.shared import shared_path
from tests.support.small_sets import clean_set, coco_document, put, put_coco, put_picture

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


@pytest.mark.parametrize("data_format", ["coco", "yolo", "voc"])
def test_a_label_file_with_any_bytes_gives_findings_or_one_clear_error(tmp_path: Path, data_format: str) -> None:
    """Seeded damage to a random label file: cut, overwritten, or with odd values put in."""
    rng = random.Random(7)
    clean_set(tmp_path, data_format)
    labels = {file: file.read_bytes() for file in sorted(tmp_path.rglob("*.*")) if file.suffix != ".jpg"}
    harmless, refusals = 0, []
    for _ in range(30):
        file = rng.choice(list(labels))
        damaged = bytearray(labels[file])
        place = rng.randrange(len(damaged))
        damaged[place : place + rng.randint(0, 20)] = rng.choice(
            [b"", b"null", b"1e999", b"NaN", b"{}", b"[]", b"-", b"\xff", b"\0", b"9" * 40, b'"', b"../", b"<", b"\n"]
        )
        file.write_bytes(damaged)
        try:
            assert_sound(check(tmp_path))
            harmless += len(open_dataset(tmp_path, split="train")) == 3
        except (DataError, UsageError) as error:
            refusals.append(str(error))
        file.write_bytes(labels[file])
    assert harmless > 5
    assert all(str(tmp_path) in message for message in refusals)


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
