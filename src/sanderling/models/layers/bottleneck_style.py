"""What all bottlenecks of one MobileDet have in common: activation, squeeze and excitation, padding, normalisation."""

from __future__ import annotations

from dataclasses import dataclass

from sanderling.errors import ModelError
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.rounding import nearest_multiple
from sanderling.models.layers.squeeze_excite import SqueezeExcite

_EPS = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class BottleneckStyle:
    """Given once for a backbone, used by each of its blocks."""

    act: Activation
    squeeze_ratio: float = 0.0
    """Inner width of squeeze and excitation as a share of the expanded one; 0 has none."""
    momentum: float = 0.01
    """Of BatchNorm, the weight of the new statistics."""

    def conv(
        self, channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> ConvNormAct:
        """A convolution with SAME padding, BatchNorm and activation."""
        return self._conv(channels_in, channels_out, kernel, stride=stride, groups=groups, act=self.act)

    def linear(self, channels_in: int, channels_out: int) -> ConvNormAct:
        """A 1x1 convolution with BatchNorm and no activation."""
        return self._conv(channels_in, channels_out, 1, act="identity")

    def squeeze_excite(self, expanded: int) -> SqueezeExcite | None:
        """Squeeze and excitation of the expanded width, where there is any."""
        if not self.squeeze_ratio:
            return None
        return SqueezeExcite(expanded, nearest_multiple(expanded * self.squeeze_ratio), act=self.act)

    def residual(self, wanted: bool, *, channels: tuple[int, int], stride: int) -> bool:
        """Whether the ends of a block are added.

        Args:
            wanted: the block says so.
            channels: of the input and of the output.
            stride: of the block.

        Raises:
            ModelError: they are to be added and differ in shape.
        """
        if wanted and (stride != 1 or channels[0] != channels[1]):
            raise ModelError(
                f"backbone.stages: a block with residual = true has {channels[0]} channels in, {channels[1]} out and "
                f"stride {stride}; both ends must have the same shape, or residual = false"
            )
        return wanted

    def _conv(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        *,
        act: Activation,
        stride: int = 1,
        groups: int = 1,
    ) -> ConvNormAct:
        return ConvNormAct(
            channels_in,
            channels_out,
            kernel,
            stride=stride,
            groups=groups,
            act=act,
            eps=_EPS,
            momentum=self.momentum,
            same=True,
        )
