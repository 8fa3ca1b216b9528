from __future__ import annotations

import math

import pytest
import torch

from sanderling.ops.tensor.ssd_anchors import ssd_anchors, ssd_priors

RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)
CPU = torch.device("cpu")


def test_scales_grow_evenly_and_the_finest_level_has_three() -> None:
    anchors = ssd_anchors(6, smallest=0.2, largest=0.95, ratios=RATIOS)
    assert [len(level) for level in anchors] == [3, 6, 6, 6, 6, 6]
    assert anchors[0] == ((0.1, 1.0), (0.2, 2.0), (0.2, 0.5))
    for level, scale, after in zip(anchors[1:], (0.35, 0.5, 0.65, 0.8, 0.95), (0.5, 0.65, 0.8, 0.95, 1), strict=True):
        assert [anchor[0] for anchor in level[:5]] == pytest.approx([scale] * 5)
        assert tuple(anchor[1] for anchor in level) == (*RATIOS, 1.0)
        assert level[5][0] == pytest.approx(math.sqrt(scale * after))


def test_there_are_as_many_as_published() -> None:
    grids = [(side, side) for side in (20, 10, 5, 3, 2, 1)]
    anchors = ssd_anchors(6, smallest=0.2, largest=0.95, ratios=RATIOS)
    priors = ssd_priors((320, 320), grids, anchors, device=CPU)
    assert len(priors) == 2034
    # 0.2 of 320 at a ratio of 2: as much area as 64x64.
    assert priors[1].tolist() == pytest.approx([8, 8, 64 * math.sqrt(2), 64 / math.sqrt(2)])
    assert priors[-1].tolist() == pytest.approx([160, 160, 320 * math.sqrt(0.95), 320 * math.sqrt(0.95)])


def test_cells_divide_the_picture_evenly_and_sizes_follow_its_shorter_side() -> None:
    anchors = (((0.25, 1.0),), ((0.5, 4.0), (0.5, 1.0)))
    priors = ssd_priors((96, 160), [(2, 3), (1, 2)], anchors, device=CPU)
    third = 160 / 3
    expected = [[third * (x + 0.5), 48 * (y + 0.5), 24, 24] for y in range(2) for x in range(3)]
    for x in (40, 120):
        expected += [[x, 48, 96, 24], [x, 48, 48, 48]]
    torch.testing.assert_close(priors, torch.tensor(expected))
