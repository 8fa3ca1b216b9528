from __future__ import annotations

import dataclasses
import importlib

import pytest

from sanderling.models import zoo
from sanderling.models.heads.fcos import FcosHeadConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.yoloret import YoloretNeckConfig
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.yoloret import yoloret_efficientnet, yoloret_mobilenetv2
from sanderling.objectives.anchor_ratio import AnchorRatioObjectiveConfig
from sanderling.objectives.fcos import FcosObjectiveConfig
from sanderling.objectives.yolo import YoloObjectiveConfig
from sanderling.recipes.fine_tune import fine_tune
from sanderling.recipes.teaching import objective_of


@pytest.mark.parametrize("name", zoo.names())
def test_every_detector_has_an_objective_and_its_recipe_uses_it(name: str) -> None:
    config = zoo.config(name, ("fire",))
    assert fine_tune(config).task.objective == objective_of(config)


def test_a_family_is_taught_as_its_authors_do() -> None:
    assert objective_of(zoo.config("yoloret-debug")) == YoloObjectiveConfig.yoloret()
    assert isinstance(objective_of(zoo.config("yolor-csp-debug")), AnchorRatioObjectiveConfig)
    assert objective_of(zoo.config("nanodet-plus-debug")).kind == "dynamic_distribution"
    assert objective_of(zoo.config("ppyolo-step-a")) == YoloObjectiveConfig.paddle()
    assert objective_of(zoo.config("ppyolo-step-k")) == YoloObjectiveConfig.ppyolo()


_BY_SIZE = {
    "ppyolo-mobilenetv3-large",
    "ppyolo-mobilenetv3-small",
    "ppyolo-tiny",
    *(f"ppyolo-step-{letter}" for letter in "abcde"),
}


@pytest.mark.parametrize("name", sorted(set(zoo.names()) - _BY_SIZE))
def test_a_detector_is_taught_the_same_under_another_name(name: str) -> None:
    known = zoo.config(name)
    assert objective_of(dataclasses.replace(known, name="mine")) == objective_of(known)


@pytest.mark.parametrize(
    "own",
    [
        yoloret_mobilenetv2(("fire",), width=1.0),
        yoloret_mobilenetv2(("fire",), rfcr=False),
        yoloret_mobilenetv2(("fire",), truncated=False, neck=YoloretNeckConfig(path="fpn")),
        yoloret_efficientnet(("fire",), size="b0"),
    ],
    ids=lambda own: own.name,
)
def test_yoloret_of_any_size_is_taught_as_its_authors_do(own: DetectorConfig) -> None:
    assert own.name not in zoo.names()
    assert objective_of(own) == YoloObjectiveConfig.yoloret()


def test_a_yolo_head_behind_a_neck_of_no_family_learns_as_yolov3() -> None:
    own = dataclasses.replace(zoo.config("fcos-debug"), name="mine", head=YoloHeadConfig())
    assert objective_of(own) == YoloObjectiveConfig.paddle()


def test_another_head_behind_a_familys_neck_is_taught_by_that_head() -> None:
    own = dataclasses.replace(zoo.config("yoloret-debug"), name="mine", head=FcosHeadConfig())
    assert objective_of(own) == FcosObjectiveConfig()


@pytest.mark.parametrize("name", ["nanodet-plus-debug", "ppyolo-tiny", "yolor-csp-debug"])
def test_a_named_detector_with_another_head_is_taught_by_that_head(name: str) -> None:
    swapped = dataclasses.replace(zoo.config(name), head=FcosHeadConfig())
    assert objective_of(swapped) == FcosObjectiveConfig()


def test_every_name_and_family_that_is_told_apart_exists() -> None:
    teaching = importlib.import_module("sanderling.recipes.teaching")
    assert set(teaching._BY_FAMILY) <= {entry.family for entry in zoo.entries()}
    assert set(teaching._BY_NAME) <= set(zoo.names())
    assert set(teaching._BY_NAME) == _BY_SIZE
    assert set(teaching._FAMILY_OF_NECK.values()) <= set(teaching._BY_FAMILY)
