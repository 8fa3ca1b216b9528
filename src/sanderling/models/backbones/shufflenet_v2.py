"""ShuffleNetV2 without its last 1x1 convolution: feature maps of strides 8, 16 and 32.

https://arxiv.org/abs/1807.11164; channels and key names as torchvision's ImageNet models have them, activation as
NanoDet chose it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation, activation

Even = Annotated[int, Field(gt=0, multiple_of=2)]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShuffleNetV2Config:
    """Channels of the stem and of the three stages, and units per stage."""

    kind: Literal["shufflenet_v2"] = "shufflenet_v2"
    stem: Annotated[int, Field(gt=0)] = 24
    channels: tuple[Even, Even, Even] = (116, 232, 464)
    units: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] = (4, 8, 4)
    act: Activation = "leaky_relu"

    def build(self) -> ShuffleNetV2:
        """Make the backbone with freshly drawn weights."""
        return ShuffleNetV2(stem=self.stem, channels=self.channels, units=self.units, act=self.act)


class ShuffleNetV2(nn.Module):
    """Stem (stride 4) and three stages, each of one down unit and several basic units."""

    def __init__(
        self, *, stem: int, channels: tuple[int, int, int], units: tuple[int, int, int], act: Activation
    ) -> None:
        super().__init__()
        self.features = FeatureSpec(channels, (8, 16, 32))
        self.conv1 = nn.Sequential(nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem), activation(act))
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = (stem, *channels[:2])
        self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(
                DownUnit(channels_in, channels_out, act=act),
                *(BasicUnit(channels_out, act=act) for _ in range(count - 1)),
            )
            for channels_in, channels_out, count in zip(before, channels, units, strict=True)
        )
        self._draw_weights()

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps of strides 8, 16 and 32."""
        fine = self.stage2(self.maxpool(self.conv1(x)))
        middle = self.stage3(fine)
        return [fine, middle, self.stage4(middle)]

    def _draw_weights(self) -> None:
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                deviation = 0.01 if name.startswith("conv1") else 1.0 / module.weight.shape[1]
                nn.init.normal_(module.weight, 0, deviation)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.bias, 1e-4)


class BasicUnit(nn.Module):
    """Half of the channels pass untouched, half through a bottleneck; then the halves are shuffled."""

    def __init__(self, channels: int, *, act: Activation) -> None:
        super().__init__()
        half = channels // 2
        self.branch2 = _branch(half, half, stride=1, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        kept, worked = x.chunk(2, 1)
        return shuffle_halves(kept, self.branch2(worked))


class DownUnit(nn.Module):
    """Both branches see all channels and halve the resolution."""

    def __init__(self, channels_in: int, channels_out: int, *, act: Activation) -> None:
        super().__init__()
        half = channels_out // 2
        self.branch1 = nn.Sequential(
            _depthwise(channels_in, stride=2),
            nn.BatchNorm2d(channels_in),
            nn.Conv2d(channels_in, half, 1, bias=False),
            nn.BatchNorm2d(half),
            activation(act),
        )
        self.branch2 = _branch(channels_in, half, stride=2, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, ceil(H / 2), ceil(W / 2))."""
        return shuffle_halves(self.branch1(x), self.branch2(x))


def shuffle_halves(first: Tensor, second: Tensor) -> Tensor:
    """Interleave the channels of two maps: the channel shuffle of their concatenation with two groups."""
    if second.is_contiguous(memory_format=torch.channels_last) and not torch.compiler.is_compiling():
        return _Interleave.apply(first, second)
    batch, channels, height, width = first.shape
    joined = torch.cat((first, second), 1)
    return joined.view(batch, 2, channels, height, width).transpose(1, 2).reshape(batch, 2 * channels, height, width)


class _Interleave(torch.autograd.Function):
    """The shuffle in channels_last, which the views above would lose.

    Its gradients are laid out anew: the activation before it is forty times slower on a gradient with gaps.
    """

    @staticmethod
    def forward(_context: Any, first: Tensor, second: Tensor) -> Tensor:
        pairs = torch.stack((first.permute(0, 2, 3, 1), second.permute(0, 2, 3, 1)), -1)
        return pairs.flatten(3).permute(0, 3, 1, 2)

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        pairs = gradients[0].permute(0, 2, 3, 1).unflatten(3, (-1, 2))
        first, second = (pairs[..., half].contiguous().permute(0, 3, 1, 2) for half in (0, 1))
        return first, second


def _branch(channels_in: int, channels: int, *, stride: int, act: Activation) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        activation(act),
        _depthwise(channels, stride=stride),
        nn.BatchNorm2d(channels),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        activation(act),
    )


def _depthwise(channels: int, *, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
