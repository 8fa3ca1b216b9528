from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.datasets.check import check
from sanderling.datasets.locate import open_dataset
from sanderling.datasets.split import assign, grouped, split
from sanderling.errors import DataError, UsageError
from tests.support.small_sets import coco_document, encoded, pixels, put, put_coco, put_picture, voc_object, voc_text

SHARES = {"train": 0.7, "val": 0.3}


def pool(folder: Path, count: int = 40) -> Path:
    """Pictures of five cameras; fire on every second, smoke on every tenth."""
    boxes = {}
    for number in range(count):
        name = f"cam{number % 5}_{number:03d}.jpg"
        put_picture(folder / "images" / "all" / name, number)
        boxes[name] = [(1, (4, 4, 9, 9))] * (number % 2 == 0) + [(2, (20, 20, 9, 9))] * (number % 10 == 0)
    put_coco(folder, "all", coco_document(boxes))
    return folder


def names(folder: Path, name: str) -> list[str]:
    return [Path(path).name for path in open_dataset(folder, split=name).picture_paths.tolist()]


def test_shares_classes_and_completeness(tmp_path: Path) -> None:
    outcome = split(pool(tmp_path / "a"), output=tmp_path / "b", fractions=SHARES, seed=3)
    assert outcome.written.pictures == {"train": 28, "val": 12}
    assert outcome.objects == {"train": {"fire": 14, "smoke": 3}, "val": {"fire": 6, "smoke": 1}}
    assert sorted(names(tmp_path / "b", "train") + names(tmp_path / "b", "val")) == sorted(names(tmp_path / "a", "all"))
    assert not check(tmp_path / "b").has_errors


def test_the_seed_decides(tmp_path: Path) -> None:
    source = pool(tmp_path / "a")
    for target, seed in (("b", 1), ("c", 1), ("d", 2)):
        split(source, output=tmp_path / target, fractions=SHARES, seed=seed)
    assert names(tmp_path / "b", "train") == names(tmp_path / "c", "train")
    assert names(tmp_path / "b", "train") != names(tmp_path / "d", "train")


@pytest.mark.parametrize("pattern", [r"^(cam\d)", r"^cam\d"])
def test_groups_stay_together(tmp_path: Path, pattern: str) -> None:
    outcome = split(pool(tmp_path / "a"), output=tmp_path / "b", fractions=SHARES, seed=0, group_by=pattern)
    cameras = {name: {file[:4] for file in names(tmp_path / "b", name)} for name in SHARES}
    assert not cameras["train"] & cameras["val"]
    assert outcome.groups == {name: len(found) for name, found in cameras.items()}


def test_folders_stay_together(tmp_path: Path) -> None:
    boxes = {}
    for number in range(12):
        name = f"site{number % 4}/{number}.jpg"
        put_picture(tmp_path / "a" / "images" / "all" / name, number)
        boxes[name] = [(1, (4, 4, 9, 9))]
    put_coco(tmp_path / "a", "all", coco_document(boxes))
    outcome = split(tmp_path / "a", output=tmp_path / "b", fractions=SHARES, seed=0, group_by="folder")
    assert outcome.groups == {"train": 3, "val": 1}


def test_copies_stay_together(tmp_path: Path) -> None:
    boxes = {}
    for number in range(10):
        for copy, level in (("a", 1), ("b", 9)):
            put(
                tmp_path / "a" / "images" / "all" / f"{number}{copy}.png",
                encoded(pixels(number), "PNG", compress_level=level),
            )
            boxes[f"{number}{copy}.png"] = [(1, (4, 4, 9, 9))]
    put_coco(tmp_path / "a", "all", coco_document(boxes))
    split(tmp_path / "a", output=tmp_path / "b", fractions={"train": 0.5, "val": 0.5}, seed=0)
    assert "picture-in-two-splits" not in check(tmp_path / "b").rules


def test_pictures_that_cannot_be_used_are_reported(tmp_path: Path) -> None:
    source = pool(tmp_path / "a", 10)
    put(source / "images" / "all" / "cam0_000.jpg", b"")
    outcome = split(source, output=tmp_path / "b", fractions=SHARES, seed=0)
    assert sum(outcome.written.pictures.values()) == 9
    assert [finding.rule for finding in outcome.written.skipped] == ["picture-empty"]


@pytest.mark.parametrize(
    "fractions",
    [{}, {"train": 0.5}, {"train": 0.8, "val": 0.3}, {"train": 1.2, "val": -0.2}, {"a/b": 0.5, "c": 0.5}],
)
def test_fractions_that_make_no_sense(tmp_path: Path, fractions: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        split(pool(tmp_path / "a", 4), output=tmp_path / "b", fractions=fractions, seed=0)


@pytest.mark.parametrize("pattern", ["(", "drone"])
def test_patterns_that_make_no_sense(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(UsageError, match="group_by"):
        split(pool(tmp_path / "a", 4), output=tmp_path / "b", fractions=SHARES, seed=0, group_by=pattern)


def test_fewer_groups_than_splits(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 groups of pictures cannot fill 2 splits"):
        split(pool(tmp_path / "a", 6), output=tmp_path / "b", fractions=SHARES, seed=0, group_by="cam()")


@given(
    counts=st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=3, max_size=30),
    seed=st.integers(0, 5),
)
def test_every_group_gets_a_split_and_no_split_stays_empty(counts: list[list[int]], seed: int) -> None:
    table = np.array(counts, np.int64)
    table[:, -1] += 1
    chosen = assign(table, [0.6, 0.3, 0.1], seed=seed)
    assert set(chosen.tolist()) == {0, 1, 2}
    assert np.array_equal(chosen, assign(table, [0.6, 0.3, 0.1], seed=seed))


def test_groups_join_through_others() -> None:
    assert grouped(["a", "b", "b", "c"], ["1", "1", "2", "3"]).tolist() == [0, 0, 0, 1]


def test_a_picture_that_stands_in_several_splits_is_dealt_out_once(tmp_path: Path) -> None:
    for number in range(6):
        put_picture(tmp_path / "a" / "JPEGImages" / f"{number}.jpg", number)
        text = voc_text(f"{number}.jpg", [voc_object("fire", (4, 4, 20, 20))])
        put(tmp_path / "a" / "Annotations" / f"{number}.xml", text)
    lists = {"train": "0\n1\n2\n3\n", "val": "4\n5\n", "trainval": "0\n1\n2\n3\n4\n5\n"}
    for name, text in lists.items():
        put(tmp_path / "a" / "ImageSets" / "Main" / f"{name}.txt", text)
    outcome = split(tmp_path / "a", output=tmp_path / "b", fractions={"train": 0.5, "val": 0.5}, seed=0)
    assert outcome.written.pictures == {"train": 3, "val": 3}
    assert outcome.written.boxes == {"train": 3, "val": 3}
