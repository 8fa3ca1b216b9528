from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sanderling import config
from sanderling.commands.anchors import anchors
from sanderling.errors import DataError, MissingDependencyError, UsageError
from sanderling.models import zoo
from sanderling.recipes.named import named
from tests.support.small_sets import coco_document, put_coco

SIZES = [(10, 12), (11, 30), (30, 9), (40, 44), (22, 21), (70, 20), (15, 64), (50, 35)]


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split of boxes without pictures (nothing reads them), 96 x 160 px."""
    folder = tmp_path_factory.mktemp("boxes") / "shapes"
    pictures = {
        f"{index}.jpg": [(1, (3, 5, width + shift, height + shift)) for shift in (0, 1.5, 2)]
        for index, (width, height) in enumerate(SIZES)
    }
    for split in ("train", "val"):
        put_coco(folder, split, coco_document(pictures if split == "train" else {}, size_hw=(96, 160)))
        (folder / "images" / split).mkdir(parents=True)
    return folder


def test_without_a_model(boxes: Path) -> None:
    result = anchors(boxes, imgsz=[192, 320], seed=4)
    plain: dict[str, Any] = json.loads(json.dumps(result.to_plain(), allow_nan=False))
    assert (plain["data"], plain["split"], plain["input"], plain["resize"]) == (
        "shapes",
        "train",
        [192, 320],
        "letterbox",
    )
    assert (plain["boxes"], plain["left_out"], plain["shapes"], plain["seed"]) == (24, 0, 24, 4)
    assert len(plain["anchors"]) == 9
    assert sum(anchor["share"] for anchor in plain["anchors"]) == pytest.approx(1, abs=1e-5)
    areas = [anchor["width"] * anchor["height"] for anchor in plain["anchors"]]
    assert areas == sorted(areas)
    # At twice the size of the pictures.
    assert 4 * 10 * 12 <= areas[0] <= 4 * 12 * 14
    assert plain["model"] is plain["levels"] is plain["setting"] is None


def test_two_calls_give_the_same_bytes_and_name_no_folder(boxes: Path) -> None:
    first, second = (json.dumps(anchors(boxes, imgsz=320, seed=1, model="yolov3-debug").to_plain()) for _ in range(2))
    assert first == second
    assert str(boxes.parent) not in first


def test_a_models_own_anchors_and_its_levels(boxes: Path) -> None:
    result = anchors(boxes, seed=0, model="yolov4-tiny-debug")
    model = zoo.config("yolov4-tiny-debug")
    assert (result.size_hw, result.resize) == (model.picture.size_hw, model.picture.resize)
    assert result.model is not None
    assert result.model.takes_anchors
    assert config.plain(result.model.levels) == config.plain(model.head)["anchors"]
    assert result.model.mean_best_iou < result.mean_best_iou
    assert result.levels is not None
    assert [len(level) for level in result.levels] == [3, 3]
    assert tuple(size for level in result.levels for size in level) == result.anchors


def test_the_setting_can_be_given_to_a_run(boxes: Path) -> None:
    result = anchors(boxes, imgsz=224, model="yolov3-debug")
    assert result.setting is not None
    run = config.override(named("yolov3-debug"), [result.setting])
    assert config.plain(run.model.head)["anchors"] == config.plain(result.levels)


def test_a_run_has_anchors_of_its_own(boxes: Path, tmp_path: Path) -> None:
    by_name = anchors(boxes, imgsz=224, model="yolov3-debug")
    assert by_name.setting is not None
    run = config.override(named("yolov3-debug"), [by_name.setting, "model.picture.size_hw=[224, 224]"])
    (tmp_path / "run.yaml").write_text(config.dump(run), encoding="utf-8")
    by_folder = anchors(boxes, model=str(tmp_path))
    assert by_folder.size_hw == (224, 224)
    assert by_folder.model is not None
    assert (by_folder.model.name, by_folder.model.levels) == ("yolov3-debug", by_name.levels)
    assert by_folder.model.mean_best_iou == pytest.approx(by_name.mean_best_iou, abs=1e-3)


def test_another_count_is_shared_by_the_levels(boxes: Path) -> None:
    result = anchors(boxes, imgsz=224, model="yolov3-debug", count=6)
    assert result.levels is not None
    assert [len(level) for level in result.levels] == [2, 2, 2]
    with pytest.raises(UsageError, match=r"count = 7: yolov3-debug has 3 levels.*use 6"):
        anchors(boxes, imgsz=224, model="yolov3-debug", count=7)


def test_a_head_with_scales_and_ratios_is_compared_but_takes_no_anchors(boxes: Path) -> None:
    result = anchors(boxes, imgsz=[192, 320], model="ssdlite-debug", count=3)
    assert result.model is not None
    assert not result.model.takes_anchors
    # The small square of the finest level: a tenth of the shorter side.
    assert result.model.levels[0][0] == pytest.approx((19.2, 19.2))
    assert (len(result.anchors), result.levels, result.setting) == (3, None, None)


def test_sizes_are_rounded_up_to_the_models_stride(boxes: Path) -> None:
    assert anchors(boxes, imgsz=[200, 321], model="yolov3-debug", count=3).size_hw == (224, 352)
    assert anchors(boxes, imgsz=[200, 321], count=3).size_hw == (200, 321)


def test_stretching_changes_the_shapes(boxes: Path) -> None:
    kept, stretched = (anchors(boxes, imgsz=[96, 320], count=1, resize=how) for how in ("letterbox", "stretch"))
    assert stretched.anchors[0][0] == pytest.approx(2 * kept.anchors[0][0], rel=0.05)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "imgsz is not stated"),
        ({"imgsz": 320, "model": "yolov3-debgu"}, "did you mean 'yolov3-debug'"),
        ({"imgsz": 320, "model": "nanodet-debug"}, "its head is of kind 'distribution' and has no anchors"),
        ({"imgsz": 320, "resize": "crop"}, "resize = 'crop'"),
        ({"imgsz": 320, "split": "tests"}, "'tests'"),
        ({"imgsz": 320, "count": 0}, "count = 0"),
        ({"imgsz": 320, "seed": -1}, "seed = -1"),
        ({"imgsz": 320, "data_format": "coca"}, "did you mean 'coco'"),
    ],
)
def test_wrong_use_is_named(boxes: Path, given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        anchors(boxes, **given)


def test_too_few_boxes(boxes: Path) -> None:
    with pytest.raises(DataError, match="shapes: the split 'val' has no boxes"):
        anchors(boxes, imgsz=320, split="val")
    with pytest.raises(DataError, match="24 different shapes of boxes do not give 25 anchors"):
        anchors(boxes, imgsz=320, count=25)


def test_without_torch_only_a_model_is_refused(boxes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with pytest.raises(MissingDependencyError, match="comparing with the anchors of a model needs the package 'torch'"):
        anchors(boxes, imgsz=320, model="yolov3-debug")
    assert len(anchors(boxes, imgsz=320, count=2).anchors) == 2
