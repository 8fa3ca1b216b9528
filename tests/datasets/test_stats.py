from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sanderling.datasets.locate import open_dataset
from sanderling.datasets.stats import Spread, distributions, measure
from tests.support.small_sets import clean_set, coco_document, put_coco, put_picture


def test_counts_by_class_and_area(tmp_path: Path) -> None:
    boxes = [(1, (0, 0, 31, 33)), (1, (0, 0, 32, 32)), (2, (0, 0, 96, 96)), (2, (0, 0, 95, 96)), (2, (1, 1, 100, 90))]
    put_picture(tmp_path / "images" / "val" / "a.jpg", 1, (100, 120))
    put_picture(tmp_path / "images" / "val" / "b.jpg", 2, (100, 120))
    document = coco_document({"a.jpg": boxes, "b.jpg": []}, size_hw=(100, 120))
    document["annotations"][-1]["iscrowd"] = 1
    put_coco(tmp_path, "val", document)
    stats = measure(open_dataset(tmp_path))
    assert (stats.pictures, stats.objects, stats.crowds, stats.backgrounds) == (2, 4, 1, 1)
    assert (stats.small, stats.medium, stats.large) == (1, 2, 1)
    assert [(c.name, c.objects, c.pictures, c.small, c.medium, c.large) for c in stats.classes] == [
        ("fire", 2, 1, 1, 1, 0),
        ("smoke", 2, 1, 0, 1, 1),
    ]
    assert stats.objects_per_picture == Spread(smallest=0, lower_quartile=1, median=2, upper_quartile=3, largest=4)
    assert stats.picture_aspects.median == 1.2
    assert stats.box_shares.largest == round(96 * 96 / 12000, 4)


@pytest.mark.parametrize("data_format", ["coco", "yolo", "voc"])
def test_the_same_in_every_format(tmp_path: Path, data_format: str) -> None:
    stats = measure(open_dataset(clean_set(tmp_path, data_format), split="train"))
    assert (stats.pictures, stats.objects, stats.small, stats.medium, stats.large) == (3, 4, 3, 1, 0)
    json.dumps(stats.to_plain(), allow_nan=False)


def test_an_empty_split_has_no_spread(tmp_path: Path) -> None:
    put_coco(tmp_path, "val", {"images": [], "annotations": [], "categories": [{"id": 1, "name": "fire"}]})
    stats = measure(open_dataset(tmp_path))
    assert stats.box_aspects.median is None
    assert stats.classes[0].objects == 0


def test_values_behind_the_plots(tmp_path: Path) -> None:
    values = distributions(open_dataset(clean_set(tmp_path, "coco"), split="train"))
    assert np.allclose(values.box_sides, np.sqrt([240, 645, 3072, 112]))
    assert np.allclose(values.box_aspects, [20 / 12, 21.5 / 30, 64 / 48, 14 / 8])
    assert values.objects_per_picture.tolist() == [2, 1, 1]
