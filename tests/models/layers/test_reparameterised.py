from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling.models.layers.reparameterised import RepConv


def _trained(block: RepConv) -> RepConv:
    """With weights, scales and statistics that are nothing special."""
    torch.manual_seed(0)
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
    return block.eval()


@pytest.mark.parametrize(("channels_out", "stride"), [(6, 1), (6, 2), (9, 1)])
def test_the_deployed_form_says_the_same(channels_out: int, stride: int) -> None:
    block = _trained(RepConv(6, channels_out, stride=stride, act="leaky_relu"))
    deployed = RepConv(6, channels_out, stride=stride, act="leaky_relu", deployed=True).eval()
    deployed.load_state_dict(block.merged_state())
    x = torch.randn(2, 6, 7, 11)
    found = deployed(x)
    assert found.shape == (2, channels_out, -(-7 // stride), -(-11 // stride))
    torch.testing.assert_close(found, block(x), rtol=1e-4, atol=1e-5)


def test_branches_are_summed_before_the_activation() -> None:
    block = _trained(RepConv(4, 4, act="relu"))
    x = torch.randn(1, 4, 5, 3)
    assert block.rbr_identity is not None
    expected = (block.rbr_dense(x) + block.rbr_1x1(x) + block.rbr_identity(x)).relu()
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(("channels_out", "stride"), [(4, 2), (8, 1)])
def test_there_is_an_identity_only_where_the_shape_stays(channels_out: int, stride: int) -> None:
    assert RepConv(4, channels_out, stride=stride, act="relu").rbr_identity is None


def test_merging_what_is_merged_changes_nothing() -> None:
    deployed = RepConv(4, 4, act="relu", deployed=True)
    assert deployed.merged_state().keys() == deployed.state_dict().keys()
    assert [tuple(value.shape) for value in deployed.merged_state().values()] == [(4, 4, 3, 3), (4,)]
