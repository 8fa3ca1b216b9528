from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sanderling import config
from sanderling.errors import ModelError, UsageError
from sanderling.models.features import FeatureSpec
from sanderling.models.heads.yolo import COCO_ANCHORS, YoloHead, YoloHeadConfig
from sanderling.ops.tensor.coding import YoloCoding

FEATURES = FeatureSpec((4, 6), (8, 16))
ANCHORS = (((10.0, 13.0), (16.0, 30.0)), ((62.0, 45.0), (90.0, 70.0), (30.0, 30.0)))
CLASSES = 3
SIZE_HW = (48, 80)


def _head(**settings: object) -> YoloHead:
    torch.manual_seed(0)
    return YoloHeadConfig(anchors=ANCHORS, **settings).build(FEATURES, CLASSES)  # type: ignore[arg-type]


def _maps(pictures: int = 2, size_hw: tuple[int, int] = SIZE_HW) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(pictures, width, size_hw[0] // stride, size_hw[1] // stride, generator=generator)
        for width, stride in zip(FEATURES.channels, FEATURES.strides, strict=True)
    ]


@pytest.mark.parametrize("iou_aware", [False, True])
def test_every_number_comes_from_its_place_in_the_map(iou_aware: bool) -> None:
    head = _head(iou_aware=iou_aware).eval()
    maps = _maps()
    found = head(maps, SIZE_HW)
    assert (found.iou_logits is not None) == iou_aware
    assert found.objectness_logits is not None
    point = 0
    for x, output, stride, anchors in zip(maps, head.outputs, FEATURES.strides, ANCHORS, strict=True):
        rows = output(x)
        for row in range(SIZE_HW[0] // stride):
            for column in range(SIZE_HW[1] // stride):
                for number, anchor in enumerate(anchors):
                    cell = rows[:, :, row, column]
                    start = len(anchors) * iou_aware + number * (5 + CLASSES)
                    torch.testing.assert_close(found.box_logits[:, point], cell[:, start : start + 4])
                    torch.testing.assert_close(found.objectness_logits[:, point], cell[:, start + 4])
                    torch.testing.assert_close(found.class_logits[:, point], cell[:, start + 5 : start + 5 + CLASSES])
                    if found.iou_logits is not None:
                        torch.testing.assert_close(found.iou_logits[:, point], cell[:, number])
                    place = [(column + 0.5) * stride, (row + 0.5) * stride, *anchor]
                    assert found.priors_cxcywh[point].tolist() == place
                    assert found.strides[point] == stride
                    point += 1
    assert found.class_logits.shape == (2, point, CLASSES)


def test_implicit_knowledge_is_added_before_and_multiplied_after() -> None:
    head, maps = _head(implicit=True).eval(), _maps()
    found = head(maps, SIZE_HW)
    for level, (x, output) in enumerate(zip(maps, head.outputs, strict=True)):
        added, factor = head.implicit_add[level], head.implicit_multiply[level]
        expected = output(x + added[None, :, None, None]) * factor[None, :, None, None]
        cells, anchors = x.shape[2] * x.shape[3], len(ANCHORS[level])
        numbers = expected.view(2, anchors, 5 + CLASSES, cells).permute(0, 3, 1, 2).reshape(2, -1, 5 + CLASSES)
        mine = found.strides == FEATURES.strides[level]
        torch.testing.assert_close(found.class_logits[:, mine], numbers[..., 5:])
        torch.testing.assert_close(found.box_logits[:, mine], numbers[..., :4])


@pytest.mark.parametrize("settings", [{}, {"iou_aware": True}, {"implicit": True}, {"bias": False}])
def test_the_rows_of_the_classes_are_named(settings: dict[str, bool]) -> None:
    head = _head(**settings)
    other = YoloHeadConfig(anchors=ANCHORS, **settings).build(FEATURES, 7)  # type: ignore[arg-type]
    shapes = {name: value.shape for name, value in other.state_dict().items()}
    differing = {name for name, value in head.state_dict().items() if value.shape != shapes[name]}
    named = set()
    for name, rows in head.class_rows.items():
        part = head.get_parameter(name) if name.startswith("implicit") else head.get_submodule(name).weight
        assert isinstance(part, Tensor)
        assert rows.classes(len(part)) == CLASSES
        named |= {key for key in differing if key == name or key.startswith(name + ".")}
    assert named == differing


@pytest.mark.parametrize("iou_aware", [False, True])
def test_at_first_almost_no_point_holds_an_object(iou_aware: bool) -> None:
    head = _head(iou_aware=iou_aware)
    for output, anchors in zip(head.outputs, ANCHORS, strict=True):
        assert isinstance(output, nn.Conv2d)
        assert output.bias is not None
        rows = output.bias.detach()[len(anchors) * iou_aware :].view(len(anchors), -1)
        assert rows[:, 4].sigmoid().tolist() == pytest.approx([0.01] * len(anchors), rel=1e-2)
        rows[:, 4] = 0
        assert (output.bias == 0).all()


def test_train_and_eval_say_the_same_and_predictions_are_in_full_precision() -> None:
    head, maps = _head(iou_aware=True, implicit=True), _maps()
    first, second = head.train()(maps, SIZE_HW), head.eval()(maps, SIZE_HW)
    assert torch.equal(first.class_logits, second.class_logits)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = head(maps, SIZE_HW)
    assert found.iou_logits is not None
    assert found.class_logits.dtype == found.box_logits.dtype == found.iou_logits.dtype == torch.float32


def test_coco_has_three_anchors_a_level_and_85_numbers_an_anchor() -> None:
    with torch.device("meta"):
        head = YoloHeadConfig().build(FeatureSpec((8, 8, 8), (8, 16, 32)), 80)
    assert [output.out_channels for output in head.outputs] == [255, 255, 255]
    assert [len(level) for level in COCO_ANCHORS] == [3, 3, 3]


def test_anchors_for_another_number_of_levels_are_refused() -> None:
    with pytest.raises(
        ModelError, match=r"head\.anchors: 3 levels of anchors for a neck with 2 levels \(strides 8, 16\)"
    ):
        YoloHeadConfig().build(FEATURES, CLASSES)


def test_levels_may_reach_differently_far() -> None:
    found = _head(scale_xy=(1.05, 1.1))(_maps(), SIZE_HW)
    assert found.coding == YoloCoding(((8, 1.05), (16, 1.1)))
    with pytest.raises(ModelError, match=r"head\.scale_xy: 3 values for a neck with 2 levels"):
        _head(scale_xy=(1.0, 1.05, 1.1))


def test_an_anchor_without_size_is_refused() -> None:
    with pytest.raises(UsageError, match="anchors"):
        config.override(YoloHeadConfig(), ["anchors=[[[0, 10]]]"])


def test_each_level_may_have_its_own_reach_but_not_more_than_there_are() -> None:
    spec = FeatureSpec((4, 4), (16, 32))
    anchors = (((10, 10),), ((20, 20),))
    coding = YoloHeadConfig(anchors=anchors, scale_xy=(1.05, 1.1)).build(spec, 2).coding
    assert coding.scale_xy == ((16, 1.05), (32, 1.1))
    with pytest.raises(ModelError, match=r"head\.scale_xy: 3 values for a neck with 2 levels; give one for each level"):
        YoloHeadConfig(anchors=anchors, scale_xy=(1.0, 1.0, 1.0)).build(spec, 2)


@pytest.mark.parametrize(("anchors", "strides"), [(((), ()), "16, 32"), ((((3.0, 4.0),), ()), "32")])
def test_a_level_without_anchors_is_refused(anchors: tuple[tuple[tuple[float, float], ...], ...], strides: str) -> None:
    with pytest.raises(ModelError, match=rf"head\.anchors: none for stride {strides}; give at least one"):
        YoloHeadConfig(anchors=anchors).build(FeatureSpec((4, 4), (16, 32)), 2)
