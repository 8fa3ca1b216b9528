from __future__ import annotations

import pytest

from sanderling.errors import UsageError
from sanderling.models import zoo
from sanderling.models.zoo.coco_classes import COCO_CLASSES


def test_names_are_lower_case_with_hyphens_and_their_configs_carry_them() -> None:
    assert "nanodet-m" in zoo.names()
    for name in zoo.names():
        assert name == name.lower()
        assert "_" not in name
        assert zoo.config(name).name == name == zoo.entry(name).name
    assert [entry.name for entry in zoo.entries()] == zoo.names()


def test_classes_are_cocos_unless_given() -> None:
    assert zoo.config("nanodet-debug").class_names == COCO_CLASSES
    assert zoo.config("nanodet-debug", ["kite"]).class_names == ("kite",)


def test_a_mistyped_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="'nanodet-mm'; did you mean 'nanodet-m'"):
        zoo.entry("nanodet-mm")
