"""ResNet in its variants a to d, with deformable convolutions in the stages that ask for them.

https://arxiv.org/abs/1512.03385. The letter says where a halving block puts its stride and what the stem is: **a** on
the first 1x1; **b** on the 3x3 (torchvision's); **c** is b with three 3x3 convolutions as stem; **d** is c with an
average pool in the shortcut, so that no position is skipped (https://arxiv.org/abs/1812.01187). Key names are
torchvision's (a, b) and timm's `resnet*d` (c, d), so that their ImageNet weights fit by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec, expect_strides
from sanderling.models.layers.deformable import DeformableConv

Variant = Literal["a", "b", "c", "d"]


class _Plan(NamedTuple):
    blocks: tuple[int, int, int, int]
    bottleneck: bool


_PLANS = {
    18: _Plan((2, 2, 2, 2), bottleneck=False),
    34: _Plan((3, 4, 6, 3), bottleneck=False),
    50: _Plan((3, 4, 6, 3), bottleneck=True),
    101: _Plan((3, 4, 23, 3), bottleneck=True),
}
_STRIDES = (4, 8, 16, 32)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResNetConfig:
    """What may be chosen."""

    kind: Literal["resnet"] = "resnet"
    depth: Literal[18, 34, 50, 101] = 50
    variant: Variant = "b"
    width: Annotated[int, Field(gt=0, multiple_of=2)] = 64
    """Channels of the stem; the stages have 1, 2, 4 and 8 times as many, and bottlenecks end in four times that."""
    deformable: tuple[Literal[4, 8, 16, 32], ...] = ()
    """Strides of the stages whose 3x3 convolutions are deformable, version 2; of a basic block only the second one."""
    project_first: bool = False
    """A 1x1 in the very first shortcut even where shapes agree without (PaddleDetection's ResNet18 and 34)."""
    strides: tuple[int, ...] = (8, 16, 32)
    """Strides of the maps that are handed on, finest first."""

    def build(self) -> ResNet:
        """Make the backbone with freshly drawn weights.

        Raises:
            ModelError: `strides` is empty, not in order, or names one that there is not.
        """
        expect_strides(self.strides, _STRIDES)
        return ResNet(
            plan=_PLANS[self.depth],
            variant=self.variant,
            width=self.width,
            deformable=self.deformable,
            project_first=self.project_first,
            strides=self.strides,
        )


class ResNet(nn.Module):
    """Stem (stride 4 with its max-pool) and up to four stages; stages behind the last tap are left out."""

    def __init__(
        self,
        *,
        plan: _Plan,
        variant: Variant,
        width: int,
        deformable: Sequence[int],
        project_first: bool,
        strides: Sequence[int],
    ) -> None:
        super().__init__()
        self.conv1 = _stem(width, deep=variant in "cd")
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.strides = [stride for stride in _STRIDES if stride <= strides[-1]]
        block: type[BasicBlock | Bottleneck] = Bottleneck if plan.bottleneck else BasicBlock
        channels, tapped = width, []
        for index, stride in enumerate(self.strides):
            inner = width * 2**index
            blocks = nn.Sequential()
            for number in range(plan.blocks[index]):
                blocks.append(
                    block(
                        channels,
                        inner,
                        stride=2 if index > 0 and number == 0 else 1,
                        variant=variant,
                        deformable=stride in deformable,
                        project=project_first and number == 0,
                    )
                )
                channels = inner * block.expansion
            self.add_module(f"layer{index + 1}", blocks)
            if stride in strides:
                tapped.append(channels)
        self.features = FeatureSpec(tuple(tapped), tuple(strides))
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is None:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to one map per asked stride, finest first."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        maps = []
        for index, stride in enumerate(self.strides):
            x = self.get_submodule(f"layer{index + 1}")(x)
            if stride in self.features.strides:
                maps.append(x)
        return maps


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(
        self, channels_in: int, inner: int, *, stride: int, variant: Variant, deformable: bool, project: bool
    ) -> None:
        super().__init__()
        self.downsample = _shortcut(channels_in, inner, stride=stride, variant=variant, project=project)
        self.conv1 = nn.Conv2d(channels_in, inner, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv3x3(inner, inner, stride=1, deformable=deformable)
        self.bn2 = nn.BatchNorm2d(inner)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, inner, ceil(H / stride), ceil(W / stride))."""
        short = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)) + short)


class Bottleneck(nn.Module):
    """1x1 to few channels, 3x3, 1x1 to four times as many, and a shortcut."""

    expansion = 4

    def __init__(
        self, channels_in: int, inner: int, *, stride: int, variant: Variant, deformable: bool, project: bool
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if variant == "a" else (1, stride)
        channels_out = inner * self.expansion
        self.downsample = _shortcut(channels_in, channels_out, stride=stride, variant=variant, project=project)
        self.conv1 = nn.Conv2d(channels_in, inner, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = _conv3x3(inner, inner, stride=second, deformable=deformable)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, 4 * inner, ceil(H / stride), ceil(W / stride))."""
        short = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + short)


def _stem(width: int, *, deep: bool) -> nn.Module:
    """Stride 2: one 7x7 or three 3x3; the last normalisation and activation follow outside."""
    if not deep:
        return nn.Conv2d(3, width, 7, 2, 3, bias=False)
    half = width // 2
    return nn.Sequential(
        nn.Conv2d(3, half, 3, 2, 1, bias=False),
        nn.BatchNorm2d(half),
        nn.ReLU(inplace=True),
        nn.Conv2d(half, half, 3, 1, 1, bias=False),
        nn.BatchNorm2d(half),
        nn.ReLU(inplace=True),
        nn.Conv2d(half, width, 3, 1, 1, bias=False),
    )


def _shortcut(
    channels_in: int, channels_out: int, *, stride: int, variant: Variant, project: bool
) -> nn.Sequential | None:
    """None where the input itself can be added."""
    if stride == 1 and channels_in == channels_out and not project:
        return None
    if variant != "d":
        return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))
    # Borders of odd maps average what is there, as PaddleDetection and timm have it.
    pool = nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
    return nn.Sequential(pool, nn.Conv2d(channels_in, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out))


def _conv3x3(channels_in: int, channels_out: int, *, stride: int, deformable: bool) -> nn.Module:
    if deformable:
        return DeformableConv(channels_in, channels_out, 3, stride=stride)
    return nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
