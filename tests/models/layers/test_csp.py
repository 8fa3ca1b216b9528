from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling.models.layers.csp import CspForm, CspFusion, CspPyramidPool, CspStage
from sanderling.models.layers.darknet_block import DarknetBlock


def _stage(form: CspForm, *, repeats: int = 2, share: float = 1.0) -> CspStage:
    return CspStage(8, 12, width=6, hidden=5, repeats=repeats, form=form, share=share, act="silu").eval()


@pytest.mark.parametrize(
    ("form", "behind_blocks", "behind_joint"),
    [
        ("csp", True, True),
        ("csp_fusion_first", False, True),
        ("csp_fusion_last", True, False),
        ("csp_no_fusion", False, False),
    ],
)
def test_transitions_stand_where_the_form_says(form: CspForm, behind_blocks: bool, behind_joint: bool) -> None:
    stage = _stage(form)
    assert isinstance(stage.leave, nn.Identity) is not behind_blocks
    assert isinstance(stage.join, nn.Identity) is not behind_joint
    x = torch.randn(2, 8, 5, 9)
    worked = stage.enter(x)
    for block in stage.blocks:
        assert isinstance(block, DarknetBlock)
        worked = worked + block.expand(block.reduce(worked))
    if behind_blocks:
        worked = stage.leave(worked)
    joined = torch.cat((worked, stage.cross(x)), 1)
    y = stage(x)
    assert y.shape == (2, 12, 5, 9)
    torch.testing.assert_close(y, stage.join(joined) if behind_joint else joined)


def test_the_share_reaches_the_blocks() -> None:
    assert [block.added for block in _stage("csp", repeats=3, share=0.5).blocks] == [3, 3, 3]


def test_the_block_of_a_neck_splits_after_its_first_convolution_and_adds_nothing() -> None:
    block = CspFusion(10, 6, repeats=2, act="silu").eval()
    x = torch.randn(2, 10, 5, 9)
    entered = block.enter(x)
    worked = entered
    for inner in block.blocks:
        assert isinstance(inner, DarknetBlock)
        worked = inner.expand(inner.reduce(worked))
    torch.testing.assert_close(block(x), block.join(torch.cat((worked, block.cross(entered)), 1)))


def test_the_pooling_block_pools_the_worked_path_only() -> None:
    block = CspPyramidPool(10, 4, act="silu").eval()
    x = torch.randn(2, 10, 5, 9)
    before = block.before(x)
    pooled = torch.cat((before, *(nn.functional.max_pool2d(before, k, 1, k // 2) for k in (5, 9, 13))), 1)
    y = block(x)
    assert y.shape == (2, 4, 5, 9)
    torch.testing.assert_close(y, block.join(torch.cat((block.after(pooled), block.cross(x)), 1)))
