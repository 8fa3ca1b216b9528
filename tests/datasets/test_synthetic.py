from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from sanderling.datasets import synthetic
from sanderling.datasets.check import check
from sanderling.datasets.locate import open_dataset
from sanderling.datasets.scene_objects import VISIBLE, Cutout, paste
from sanderling.datasets.synthetic import SCENE_CLASSES, render_scene, write_scenes
from sanderling.errors import UsageError

SIZES = ((256, 320), (192, 160), (97, 131))


@pytest.mark.parametrize("size_hw", SIZES)
def test_a_scene_is_a_function_of_its_seed(size_hw: tuple[int, int]) -> None:
    first, second, other = (render_scene(seed, size_hw=size_hw) for seed in (5, 5, 6))
    assert first.image.shape == (*size_hw, 3)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.boxes_xyxy, second.boxes_xyxy)
    assert not np.array_equal(first.image, other.image)
    assert first.picture_id == 5


@pytest.mark.parametrize("size_hw", SIZES)
def test_boxes_enclose_exactly_the_pixels_that_show_the_object(
    size_hw: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every paste is watched; the mask of the whole picture, by a slow way, must give the box."""
    height, width = size_hw
    masks: list[np.ndarray] = []

    def watched(image: np.ndarray, cutout: Cutout, left: int, top: int) -> None:
        margin = max(cutout.shape)
        wide = np.zeros((height + 2 * margin, width + 2 * margin), np.uint8)
        wide[top + margin : top + margin + cutout.shape[0], left + margin : left + margin + cutout.shape[1]] = cutout[
            ..., 3
        ]
        masks.append(wide[margin : margin + height, margin : margin + width] >= VISIBLE)
        paste(image, cutout, left, top)

    monkeypatch.setattr(synthetic, "paste", watched)
    boxes = 0
    for seed in range(24):
        masks.clear()
        sample = render_scene(seed, size_hw=size_hw)
        seen = []
        for mask in masks:
            ys, xs = np.nonzero(mask)
            seen.append([float(value) for value in (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)])
        # A try that could not be seen against what is behind it is pasted and taken back, so there may be more.
        assert all(box in seen for box in sample.boxes_xyxy.tolist())
        boxes += len(sample.boxes_xyxy)
    assert boxes > 24


def test_boxes_lie_inside_and_hide_each_other_little() -> None:
    for seed in range(40):
        boxes = render_scene(seed).boxes_xyxy
        assert (boxes >= 0).all()
        assert (boxes <= [320, 256, 320, 256]).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= 2).all()
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        for first in range(len(boxes)):
            for second in range(first):
                low = np.maximum(boxes[first, :2], boxes[second, :2])
                shared = np.clip(np.minimum(boxes[first, 2:], boxes[second, 2:]) - low, 0, None).prod()
                assert shared <= 0.1 * min(areas[first], areas[second]) + 1e-3


def test_objects_stand_out_from_what_is_behind_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scene rendered without its objects differs from it within every box, and hardly outside."""
    differing = 0
    for seed in range(12):
        sample = render_scene(seed)
        with monkeypatch.context() as patch:
            patch.setattr(synthetic, "_objects", lambda *_: [])
            empty = render_scene(seed)
        assert len(empty.boxes_xyxy) == 0
        differing += len(sample.boxes_xyxy) > 0 and not np.array_equal(sample.image, empty.image)
    assert differing >= 8


def test_share_of_small_objects_classes_and_backgrounds() -> None:
    """At least 30 % of the objects are below 32 x 32 px; every class is common; some scenes show nothing."""
    samples = [render_scene(seed) for seed in range(160)]
    boxes = np.concatenate([sample.boxes_xyxy for sample in samples])
    labels = np.concatenate([sample.labels for sample in samples])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    assert 0.38 <= (areas < 32 * 32).mean() <= 0.62
    assert (areas > 64 * 64).mean() >= 0.1
    assert (np.bincount(labels, minlength=4) / len(labels) >= 0.16).all()
    assert SCENE_CLASSES == ("fire", "smoke", "crane", "kite")
    empty = sum(len(sample.labels) == 0 for sample in samples)
    assert 5 <= empty <= 40


def test_a_square_network_input_also_gets_its_share_of_small_objects() -> None:
    boxes = np.concatenate([render_scene(seed, size_hw=(320, 320)).boxes_xyxy for seed in range(100)])
    assert ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) < 32 * 32).mean() >= 0.3


def test_scenes_differ_in_light() -> None:
    means = [float(render_scene(seed, size_hw=(64, 80)).image.mean()) for seed in range(40)]
    assert min(means) < 70
    assert max(means) > 140


def test_written_set_is_clean_and_matches_its_scenes(tmp_path: Path) -> None:
    folder = write_scenes(tmp_path / "scenes", train=6, val=4, seed=3, size_hw=(96, 128))
    result = check(folder)
    assert set(result.rules) <= {"picture-without-labels"}
    assert (result.splits, result.counts["pictures"]) == (("train", "val"), 10)
    dataset = open_dataset(folder, split="train")
    assert dataset.class_names == SCENE_CLASSES
    seeds = np.random.SeedSequence([3, 0]).generate_state(6, np.uint64)
    for index, seed in enumerate(seeds.tolist()):
        sample = render_scene(seed, size_hw=(96, 128))
        read = dataset.read(index)
        assert np.array_equal(read.boxes_xyxy, sample.boxes_xyxy)
        assert np.array_equal(read.labels, sample.labels)
        assert cv2.absdiff(read.image, sample.image).mean() < 6


def test_the_same_seed_writes_the_same_and_val_does_not_depend_on_train(tmp_path: Path) -> None:
    for name, train in (("a", 2), ("b", 2), ("c", 5)):
        write_scenes(tmp_path / name, train=train, val=2, seed=1, size_hw=(64, 80))
    files = [
        {file.relative_to(tmp_path / name): file.read_bytes() for file in (tmp_path / name).rglob("*.*")}
        for name in "abc"
    ]
    assert files[0] == files[1]
    assert all(files[2][file] == data for file, data in files[0].items() if file.name != "instances_train.json")


@pytest.mark.parametrize(
    ("train", "val", "seed", "size_hw"),
    [(0, 1, 0, (64, 64)), (1, 0, 0, (64, 64)), (1, 1, -1, (64, 64)), (1, 1, 0, (64, 32))],
)
def test_bad_wishes_leave_nothing(tmp_path: Path, train: int, val: int, seed: int, size_hw: tuple[int, int]) -> None:
    with pytest.raises(UsageError):
        write_scenes(tmp_path / "out", train=train, val=val, seed=seed, size_hw=size_hw)
    assert list(tmp_path.iterdir()) == []


def test_negative_seed_is_refused() -> None:
    with pytest.raises(UsageError, match="seed = -1"):
        render_scene(-1)


def test_rendering_is_quick() -> None:
    render_scene(0)
    begin = time.process_time()
    for seed in range(40):
        render_scene(seed)
    assert time.process_time() - begin < 40 / 30
