from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from sanderling import config
from sanderling.commands.gallery import FOLDER, TECHNIQUES, Technique, made_up_marks, page_of, run_of, sheet_of
from sanderling.commands.gallery import scenes_in as rendered_scenes
from sanderling.data.augment import AugmentConfig
from sanderling.datasets.dataset import Dataset

DOCS = Path(__file__).parents[2] / "docs"
BY_NAME = {technique.name: technique for technique in TECHNIQUES}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return rendered_scenes(tmp_path_factory.mktemp("gallery") / "scenes")


def test_the_page_in_the_documents_is_that_of_the_techniques() -> None:
    assert (DOCS / "augmentation.md").read_text(encoding="utf-8") == page_of(TECHNIQUES)


def test_every_picture_is_there_and_all_of_them_are_small() -> None:
    pictures = list((DOCS / FOLDER).iterdir())
    assert {path.name for path in pictures} == {f"{name}.jpg" for name in BY_NAME}
    assert len(BY_NAME) == len(TECHNIQUES)
    assert sum(path.stat().st_size for path in pictures) < 1.2e6


def test_every_variation_has_an_entry() -> None:
    shown = {setting.split("=")[0].split(".")[1] for technique in TECHNIQUES for setting in technique.settings}
    about_boxes_and_decoding = {"min_visible", "min_side", "detail"}
    assert shown == set(config.plain(AugmentConfig())) - about_boxes_and_decoding


@pytest.mark.parametrize("technique", TECHNIQUES, ids=list(BY_NAME))
def test_an_entry_switches_on_what_it_names_and_nothing_else(technique: Technique) -> None:
    neutral, varied = config.plain(AugmentConfig.none()), config.plain(run_of(technique).augment)
    named = {setting.split("=")[0].split(".")[1] for setting in technique.settings}
    assert {key for key in neutral if neutral[key] != varied[key]} == named


@pytest.mark.parametrize("name", ["none", "rotate", "mosaic9", "cutmix", "activation_cutout", "stitcher", "sizes"])
def test_the_pictures_are_what_the_code_draws(scenes: Dataset, name: str) -> None:
    stored = cv2.imread(str(DOCS / FOLDER / f"{name}.jpg"))
    drawn = sheet_of(BY_NAME[name], scenes)
    assert stored is not None
    assert stored.shape == drawn.shape
    assert np.abs(stored[..., ::-1].astype(int) - drawn).mean() < 8  # of JPEG


def test_marks_are_in_every_object_and_nowhere_else(scenes: Dataset) -> None:
    marks = made_up_marks(scenes, cells=16)
    for index, (height, width) in enumerate(scenes.sizes_hw.tolist()):
        boxes = scenes.boxes_xyxy[scenes.boxes_of(index)]
        inside = np.zeros((16, 16), np.bool_)
        for left, top, right, bottom in (boxes / (width, height, width, height) * 16).tolist():
            part = np.s_[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))]
            assert marks[index][part].any()
            inside[part] = True
        assert not (marks[index] & ~inside).any()


def test_an_entry_tells_source_switch_and_defaults() -> None:
    page = page_of([BY_NAME["mixup"], BY_NAME["rotate"]])
    assert "## Mixup\n" in page
    assert "- switch: `--set 'augment.mixup={}'`" in page
    assert re.search(r"- defaults: off; when on: probability `1.0`, alpha `1.5`, beta `1.5`, until `1.0`", page)
    assert "- defaults: rotate `0.0`" in page
    assert "arxiv.org/abs/1902.04103" in page
