"""Cross stage partial blocks: one half of the channels works, the other crosses the stage.

CSPNet, https://arxiv.org/abs/1911.11929, as YOLOR and YOLOv4-CSP build it: two 1x1 convolutions take the place of the
split. Where the transitions stand is compared in https://arxiv.org/abs/2211.04800, section 2.4.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.darknet_block import DarknetBlock
from sanderling.models.layers.pyramid_pool import PyramidPool

CspForm = Literal["csp", "csp_fusion_first", "csp_fusion_last", "csp_no_fusion"]


class CspStage(nn.Module):
    """1x1 to both paths; blocks on the first; transitions around the joint, as `form` says.

    `csp` has a 1x1 behind the blocks and another behind the joint, `csp_fusion_first` only the latter,
    `csp_fusion_last` only the former, `csp_no_fusion` none.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output; where nothing follows the joint, twice `width`.
        width: channels of each path.
        hidden: channels inside the blocks.
        repeats: number of blocks.
        form: where the transitions stand.
        share: of the channels that each block adds its input to.
        act: after each convolution.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        width: int,
        hidden: int,
        repeats: int,
        form: CspForm = "csp",
        share: float = 1.0,
        act: Activation,
    ) -> None:
        super().__init__()
        self.enter = ConvNormAct(channels_in, width, 1, act=act)
        self.cross = ConvNormAct(channels_in, width, 1, act=act)
        self.blocks = nn.Sequential(
            *(DarknetBlock(width, width, hidden=hidden, share=share, act=act) for _ in range(repeats))
        )
        behind_blocks = form in ("csp", "csp_fusion_last")
        behind_joint = form in ("csp", "csp_fusion_first")
        self.leave = ConvNormAct(width, width, 1, act=act) if behind_blocks else nn.Identity()
        self.join = ConvNormAct(2 * width, channels_out, 1, act=act) if behind_joint else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H, W)."""
        worked = self.leave(self.blocks(self.enter(x)))
        return self.join(torch.cat((worked, self.cross(x)), 1))


class CspFusion(nn.Module):
    """The block of a neck: one 1x1 and from its output both paths; no identities, no transition before the joint.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output and of each path.
        repeats: number of blocks.
        act: after each convolution.
    """

    def __init__(self, channels_in: int, channels_out: int, *, repeats: int, act: Activation) -> None:
        super().__init__()
        self.enter = ConvNormAct(channels_in, channels_out, 1, act=act)
        self.blocks = nn.Sequential(
            *(DarknetBlock(channels_out, channels_out, hidden=channels_out, share=0, act=act) for _ in range(repeats))
        )
        self.cross = ConvNormAct(channels_out, channels_out, 1, act=act)
        self.join = ConvNormAct(2 * channels_out, channels_out, 1, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H, W)."""
        x = self.enter(x)
        return self.join(torch.cat((self.blocks(x), self.cross(x)), 1))


class CspPyramidPool(nn.Module):
    """Spatial pyramid pooling between convolutions on one path, a 1x1 on the other (YOLOv4-CSP's `SPPCSPC`).

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output and of each path.
        act: after each convolution.
    """

    def __init__(self, channels_in: int, channels_out: int, *, act: Activation) -> None:
        super().__init__()
        self.before = nn.Sequential(
            ConvNormAct(channels_in, channels_out, 1, act=act),
            ConvNormAct(channels_out, channels_out, 3, act=act),
            ConvNormAct(channels_out, channels_out, 1, act=act),
        )
        self.pool = PyramidPool((5, 9, 13))
        self.after = nn.Sequential(
            ConvNormAct(4 * channels_out, channels_out, 1, act=act),
            ConvNormAct(channels_out, channels_out, 3, act=act),
        )
        self.cross = ConvNormAct(channels_in, channels_out, 1, act=act)
        self.join = ConvNormAct(2 * channels_out, channels_out, 1, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H, W)."""
        return self.join(torch.cat((self.after(self.pool(self.before(x))), self.cross(x)), 1))
