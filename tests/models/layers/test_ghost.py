from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from sanderling.models.layers.ghost import GhostBottleneck, GhostConv


def _settled(module: nn.Module) -> nn.Module:
    """In eval mode, with statistics that are no identity."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(part.running_var, 0.5, 2)  # type: ignore[arg-type]
    return module.eval()


def test_half_of_the_channels_are_made_cheaply_from_the_other_half() -> None:
    block = GhostConv(5, 8, act="leaky_relu")
    _settled(block)
    x = torch.randn(2, 5, 7, 11)
    conv, norm, _ = block.primary_conv
    cheap, cheap_norm, _ = block.cheap_operation
    first = F.leaky_relu(norm(F.conv2d(x, conv.get_parameter("weight"))), 0.1)
    second = F.leaky_relu(cheap_norm(F.conv2d(first, cheap.get_parameter("weight"), padding=1, groups=4)), 0.1)
    found = block(x)
    assert found.shape == (2, 8, 7, 11)
    torch.testing.assert_close(found, torch.cat((first, second), 1))


def test_the_bottleneck_adds_a_separable_shortcut_and_ends_without_activation() -> None:
    block = GhostBottleneck(6, 4, shortcut_kernel=5, act="leaky_relu")
    _settled(block)
    x = torch.randn(1, 6, 9, 5)
    depthwise, norm, pointwise, last = block.shortcut
    shortcut = norm(F.conv2d(x, depthwise.get_parameter("weight"), padding=2, groups=6))
    shortcut = last(F.conv2d(shortcut, pointwise.get_parameter("weight")))
    first = block.ghost1(x)
    conv, last_norm, _ = block.ghost2.primary_conv
    cheap, cheap_norm, _ = block.ghost2.cheap_operation
    half = last_norm(F.conv2d(first, conv.get_parameter("weight")))
    made = torch.cat((half, cheap_norm(F.conv2d(half, cheap.get_parameter("weight"), padding=1, groups=2))), 1)
    torch.testing.assert_close(block(x), made + shortcut)
