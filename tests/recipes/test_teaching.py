from __future__ import annotations

import dataclasses
import importlib

import pytest

from sanderling.models import zoo
from sanderling.models.heads.fcos import FcosHeadConfig
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


def test_a_detector_of_ones_own_is_taught_by_its_head() -> None:
    own = dataclasses.replace(zoo.config("yoloret-debug"), name="mine")
    assert objective_of(own) == YoloObjectiveConfig.paddle()


@pytest.mark.parametrize("name", ["nanodet-plus-debug", "ppyolo-tiny", "yolor-csp-debug"])
def test_a_named_detector_with_another_head_is_taught_by_that_head(name: str) -> None:
    swapped = dataclasses.replace(zoo.config(name), head=FcosHeadConfig())
    assert objective_of(swapped) == FcosObjectiveConfig()


def test_every_name_and_family_that_is_told_apart_exists() -> None:
    teaching = importlib.import_module("sanderling.recipes.teaching")
    assert set(teaching._BY_FAMILY) <= {entry.family for entry in zoo.entries()}
    assert set(teaching._BY_NAME) <= set(zoo.names())
