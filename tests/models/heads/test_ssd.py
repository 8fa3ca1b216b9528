from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.heads.ssd import SsdHeadConfig
from sanderling.ops.tensor.coding import SsdCoding

FEATURES = FeatureSpec((6, 10, 4), (16, 32, 64))
SIZE_HW = (96, 160)
GRIDS = [(6, 10), (3, 5), (2, 3)]
ANCHORS = (3, 6, 6)


def _maps(batch: int = 2) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [
        torch.randn(batch, width, *grid, generator=draw) for width, grid in zip(FEATURES.channels, GRIDS, strict=True)
    ]


def test_points_are_by_level_row_major_and_by_anchor_without_the_background() -> None:
    head = SsdHeadConfig().build(FEATURES, num_classes=5).eval()
    maps = _maps()
    found = head(maps, SIZE_HW)
    points = 60 * 3 + 15 * 6 + 6 * 6
    assert found.class_logits.shape == (2, points, 5)
    assert found.box_logits.shape == (2, points, 4)
    assert found.objectness_logits is None
    start = 0
    for level, x in enumerate(maps):
        count, (rows, columns) = ANCHORS[level], GRIDS[level]
        boxes, classes = head.boxes[level](x), head.classes[level](x)
        for row, column, anchor in ((0, 0, 0), (rows - 1, 1, count - 1), (1, columns - 1, 1)):
            point = start + (row * columns + column) * count + anchor
            torch.testing.assert_close(found.box_logits[:, point], boxes[:, 4 * anchor : 4 * anchor + 4, row, column])
            torch.testing.assert_close(
                found.class_logits[:, point], classes[:, 6 * anchor + 1 : 6 * anchor + 6, row, column]
            )
        start += rows * columns * count
    assert start == points


def test_geometry() -> None:
    found = SsdHeadConfig().build(FEATURES, num_classes=2)(_maps(), SIZE_HW)
    assert found.coding == SsdCoding(centre_variance=0.1, size_variance=0.2)
    assert found.priors_cxcywh.shape == (306, 4)
    assert found.priors_cxcywh[0].tolist() == pytest.approx([8, 8, 9.6, 9.6])  # a tenth of the shorter side
    # The coarsest level has two rows and three columns, none of them 64 pixels wide.
    assert found.priors_cxcywh[-1, :2].tolist() == pytest.approx([160 * 5 / 6, 72])
    assert found.strides.unique_consecutive(return_counts=True)[1].tolist() == [180, 90, 36]


def test_every_score_starts_near_one_in_a_hundred() -> None:
    scores = SsdHeadConfig().build(FEATURES, num_classes=3).eval()(_maps(), SIZE_HW).class_logits.sigmoid()
    assert 0.005 < scores.min() < scores.max() < 0.02


def test_outputs_that_depend_on_the_classes_are_named() -> None:
    few, many = (SsdHeadConfig().build(FEATURES, num_classes=classes) for classes in (2, 7))
    shapes = {name: value.shape for name, value in many.state_dict().items()}
    differing = {name for name, value in few.state_dict().items() if value.shape != shapes[name]}
    assert differing == {f"{name}.{kind}" for name in few.class_rows for kind in ("weight", "bias")}
    rows = few.class_rows["classes.0.1"]
    assert (rows.classes(9), rows.classes(24), rows.classes(10)) == (2, 7, None)
    assert rows.kept(9).tolist() == [True, False, False] * 3


def test_nothing_is_shared_and_small_maps_have_whole_kernels() -> None:
    head = SsdHeadConfig().build(FEATURES, num_classes=2)
    shapes = [module.weight.shape for module in head.modules() if isinstance(module, nn.Conv2d)]
    assert [shape for shape in shapes if shape[-1] == 3] == [(6, 1, 3, 3), (10, 1, 3, 3), (4, 1, 3, 3)] * 2


def test_predictions_are_float32_when_the_network_runs_in_bfloat16() -> None:
    head = SsdHeadConfig().build(FEATURES, num_classes=3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = head(_maps(), SIZE_HW)
    assert found.class_logits.dtype == found.box_logits.dtype == torch.float32


def test_anchors_that_would_shrink_are_refused() -> None:
    features = FeatureSpec((4, 4), (16, 32))
    SsdHeadConfig(smallest=0.5, largest=0.5).build(features, 2)
    with pytest.raises(ModelError, match=r"head\.smallest = 0\.9 with head\.largest = 0\.2: anchors grow"):
        SsdHeadConfig(smallest=0.9, largest=0.2).build(features, 2)
