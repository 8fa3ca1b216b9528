from __future__ import annotations

from sanderling.models.zoo.coco_classes import COCO_CLASSES


def test_the_eighty_in_the_order_that_published_weights_have() -> None:
    assert len(COCO_CLASSES) == len(set(COCO_CLASSES)) == 80
    places = {0: "person", 2: "car", 16: "dog", 33: "kite", 62: "tv", 79: "toothbrush"}
    assert {place: COCO_CLASSES[place] for place in places} == places
