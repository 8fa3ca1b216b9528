from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sanderling import config
from sanderling.errors import UsageError
from sanderling.models.backbones.shufflenet_v2 import BasicUnit, DownUnit, ShuffleNetV2Config, shuffle_halves

SMALL = ShuffleNetV2Config(stem=8, channels=(12, 20, 36), units=(2, 1, 2))


def _plain_shuffle(first: Tensor, second: Tensor) -> Tensor:
    """Channel by channel: one of the first, one of the second."""
    return torch.stack([half[:, channel] for channel in range(first.shape[1]) for half in (first, second)], 1)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(2, 6, 5, 7), (1, 3, 1, 1), (3, 1, 4, 2)])
def test_shuffle_interleaves_channels_in_either_layout(
    shape: tuple[int, ...], memory_format: torch.memory_format
) -> None:
    batch, channels, height, width = shape
    whole = torch.randn(batch, 2 * channels, height, width).contiguous(memory_format=memory_format).requires_grad_()
    second = torch.randn(shape).contiguous(memory_format=memory_format).requires_grad_()
    first = whole.chunk(2, 1)[0]  # a view with gaps, as the basic unit has it
    found, expected = shuffle_halves(first, second), _plain_shuffle(first, second)
    assert torch.equal(found, expected)
    weight = torch.randn_like(found)
    for ours, reference in zip(
        torch.autograd.grad((found * weight).sum(), (whole, second)),
        torch.autograd.grad((expected * weight).sum(), (whole, second)),
        strict=True,
    ):
        assert torch.equal(ours, reference)


def test_shuffle_keeps_channels_last() -> None:
    first, second = (torch.randn(2, 6, 5, 7).contiguous(memory_format=torch.channels_last) for _ in range(2))
    found = shuffle_halves(first.requires_grad_(), second.requires_grad_())
    assert found.is_contiguous(memory_format=torch.channels_last)
    for gradient in torch.autograd.grad(found.sum(), (first, second)):
        assert gradient.shape == first.shape


@pytest.mark.parametrize("train", [False, True])
def test_layouts_agree(train: bool) -> None:
    torch.manual_seed(0)
    plain = SMALL.build().train(train)
    fast = SMALL.build().train(train)
    fast.load_state_dict(plain.state_dict())
    fast.to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 96, 160)
    ours, reference = fast(images.contiguous(memory_format=torch.channels_last)), plain(images)
    for found, expected in zip(ours, reference, strict=True):
        assert found.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    sum(found.square().mean() for found in ours).backward()
    sum(expected.square().mean() for expected in reference).backward()
    for mine, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-4)


def test_maps_have_the_promised_shapes_at_an_odd_size() -> None:
    backbone = SMALL.build().eval()
    maps = backbone(torch.randn(1, 3, 75, 133))
    assert backbone.features.channels == (12, 20, 36)
    assert [tuple(x.shape[1:]) for x in maps] == [(12, 10, 17), (20, 5, 9), (36, 3, 5)]


def test_basic_unit_keeps_half_of_the_channels_untouched() -> None:
    unit = BasicUnit(12, act="relu").eval()
    x = torch.randn(1, 12, 6, 9)
    found = unit(x)
    assert torch.equal(found[:, 0::2], x[:, :6])
    torch.testing.assert_close(found[:, 1::2], unit.branch2(x[:, 6:]))


def test_down_unit_sees_all_channels_in_both_branches() -> None:
    unit = DownUnit(5, 12, act="leaky_relu").eval()
    x = torch.randn(1, 5, 7, 9)
    found = unit(x)
    assert found.shape == (1, 12, 4, 5)
    torch.testing.assert_close(found[:, 0::2], unit.branch1(x))
    torch.testing.assert_close(found[:, 1::2], unit.branch2(x))


def test_it_is_torchvisions_network() -> None:
    from torchvision.models import shufflenet_v2_x1_0

    theirs = shufflenet_v2_x1_0(weights=None).eval()
    ours = ShuffleNetV2Config(act="relu").build().eval()
    _, unexpected = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert unexpected == []
    images = torch.randn(1, 3, 64, 96)
    expected = []
    x = theirs.maxpool(theirs.conv1(images))
    for stage in (theirs.stage2, theirs.stage3, theirs.stage4):
        x = stage(x)
        expected.append(x)
    for found, reference in zip(ours(images), expected, strict=True):
        torch.testing.assert_close(found, reference)


def test_no_convolution_has_a_bias_and_norms_start_as_published() -> None:
    for module in SMALL.build().modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is None
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.unique().tolist() == [1]
            assert module.bias.unique().tolist() == pytest.approx([1e-4])


def test_channels_must_be_even() -> None:
    with pytest.raises(UsageError, match=r"channels.0 = 13.*multiple of 2"):
        config.parse(ShuffleNetV2Config, {"channels": [13, 20, 36]})
