from __future__ import annotations

import numpy as np
import pytest

from sanderling.data.mixing import Mixture, draw_mixtures, mix_boxes
from sanderling.data.transforms.blend import CutMixConfig, MixupConfig

SIZES_HW = np.tile([48, 80], (20, 1))


def _boxes(*boxes: tuple[float, float, float, float]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array(boxes, np.float32).reshape(-1, 4)


def test_a_sample_is_mixed_in_one_way_with_another_picture() -> None:
    rng = np.random.default_rng(0)
    mixtures = draw_mixtures(MixupConfig(probability=0.5), CutMixConfig(), rng, SIZES_HW, progress=0.0)
    assert sorted(mixtures) == list(range(20))
    assert [mixture.other for mixture in mixtures.values()] == list(range(20, 40))
    assert all(mixture.partner != sample for sample, mixture in mixtures.items())
    pasted = [mixture for mixture in mixtures.values() if mixture.rectangle_xyxy is not None]
    assert 4 <= len(pasted) <= 16
    assert all(0 < mixture.share < 1 for mixture in mixtures.values())


@pytest.mark.parametrize(("progress", "mixed"), [(0.0, 20), (0.79, 20), (0.8, 0), (1.0, 0)])
def test_mixing_ends_when_it_is_told_to(progress: float, mixed: int) -> None:
    rng = np.random.default_rng(0)
    assert len(draw_mixtures(MixupConfig(until=0.8), None, rng, SIZES_HW, progress=progress)) == mixed
    assert len(draw_mixtures(None, CutMixConfig(until=0.8), rng, SIZES_HW, progress=progress)) == mixed


def test_a_picture_without_another_is_not_mixed() -> None:
    assert not draw_mixtures(MixupConfig(), None, np.random.default_rng(0), SIZES_HW[:1], progress=0.0)


def test_mixup_adds_pictures_and_weighs_boxes() -> None:
    mixture = Mixture(partner=1, other=2, share=0.75)
    image, other = np.full((4, 6, 3), 200, np.uint8), np.full((4, 6, 3), 40, np.uint8)
    mixture.apply(image, other)
    assert (image == 160).all()
    boxes = _boxes((0, 0, 1, 1), (1, 1, 2, 2), (2, 2, 3, 3), (3, 3, 4, 4))
    mixed = mix_boxes(boxes, np.array([0, 1, 2, 2]), {0: mixture}, min_visible=0.1, min_side=0.0)
    assert mixed.sample.tolist() == [0, 0, 0, 1]
    assert mixed.source_box.tolist() == [0, 2, 3, 1]
    assert mixed.weights.tolist() == [0.75, 0.25, 0.25, 1.0]
    assert (mixed.boxes_xyxy == boxes[[0, 2, 3, 1]]).all()


def test_cutmix_cuts_boxes_to_what_is_seen() -> None:
    mixture = Mixture(partner=1, other=1, share=0.5, rectangle_xyxy=(40, 0, 80, 48))
    image, other = np.zeros((48, 80, 3), np.uint8), np.full((48, 80, 3), 9, np.uint8)
    mixture.apply(image, other)
    assert image[:, 40:].min() == 9
    assert not image[:, :40].any()
    ours = [(10, 10, 60, 30), (45, 5, 70, 20), (36, 0, 80, 48)]
    theirs = [(30, 10, 60, 20), (0, 0, 39, 9)]
    mixed = mix_boxes(_boxes(*ours, *theirs), np.array([0, 0, 0, 1, 1]), {0: mixture}, min_visible=0.05, min_side=5.0)
    # The second is covered, of the third a strip of 4 pixels is left, the last lies outside what is pasted.
    assert mixed.boxes_xyxy.tolist() == [[10, 10, 40, 30], [40, 10, 60, 20]]
    assert mixed.source_box.tolist() == [0, 3]
    assert mixed.weights.tolist() == [1.0, 1.0]


def test_cutmix_as_published_keeps_every_box_with_its_share() -> None:
    mixture = Mixture(partner=1, other=1, share=0.5, rectangle_xyxy=(40, 0, 80, 48), keep_all=True)
    boxes = _boxes((45, 5, 70, 20), (0, 0, 39, 9))
    mixed = mix_boxes(boxes, np.array([0, 1]), {0: mixture}, min_visible=0.5, min_side=5.0)
    assert (mixed.boxes_xyxy == boxes).all()
    assert mixed.weights.tolist() == [0.5, 0.5]


def test_no_boxes() -> None:
    mixture = Mixture(partner=1, other=1, share=0.5, rectangle_xyxy=(0, 0, 4, 4))
    mixed = mix_boxes(_boxes(), np.zeros(0, np.int64), {0: mixture}, min_visible=0.1, min_side=1.0)
    assert mixed.boxes_xyxy.shape == (0, 4)
    assert mixed.sample.shape == (0,)
