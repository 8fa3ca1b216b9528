from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from sanderling.errors import UsageError
from sanderling.models import zoo
from sanderling.recipes.mobiledet import PUBLISHED as MOBILEDET
from sanderling.recipes.mobiledet import mobiledet_published
from sanderling.recipes.nanodet import PUBLISHED as NANODET
from sanderling.recipes.nanodet import PUBLISHED_PLUS as NANODET_PLUS
from sanderling.recipes.nanodet import nanodet_plus_published, nanodet_published
from sanderling.recipes.published import expect_published
from sanderling.recipes.run import Run
from sanderling.recipes.yoloret import PUBLISHED as YOLORET
from sanderling.recipes.yoloret import yoloret_published
from sanderling.recipes.yolov3 import PUBLISHED as YOLOV3
from sanderling.recipes.yolov3 import yolov3_published


def test_its_own_detectors_are_taken_and_others_refused_by_name() -> None:
    expect_published(zoo.config("nanodet-m"), ("nanodet-t", "nanodet-m"))
    words = "^fcos-debug: this recipe is for nanodet-t, nanodet-m; choose the recipe of its family$"
    with pytest.raises(UsageError, match=words):
        expect_published(zoo.config("fcos-debug"), ("nanodet-t", "nanodet-m"))


@pytest.mark.parametrize(
    ("recipe", "names"),
    [
        (mobiledet_published, MOBILEDET),
        (nanodet_published, NANODET),
        (nanodet_plus_published, NANODET_PLUS),
        (yoloret_published, YOLORET),
        (yolov3_published, YOLOV3),
    ],
)
def test_published_recipes_are_for_the_published(recipe: Callable[..., Run], names: Sequence[str]) -> None:
    assert recipe(zoo.config(names[0])).model.name == names[0]
    with pytest.raises(UsageError, match="fcos-debug: this recipe is for"):
        recipe(zoo.config("fcos-debug"))
