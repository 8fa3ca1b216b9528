"""Any convolutional network of timm as a backbone: the maps that its `features_only` form hands on.

https://github.com/huggingface/pytorch-image-models (Apache-2.0). Nothing is downloaded unless it is asked for:
timm's ImageNet weights come with `pretrained: imagenet` of a training run.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec, expect_strides


@dataclass(frozen=True, kw_only=True, slots=True)
class TimmConfig:
    """A model by timm's name and what is taken of it."""

    kind: Literal["timm"] = "timm"
    model: str = "mobilenetv3_small_050"
    """As `timm.list_models()` has it."""
    strides: tuple[Annotated[int, Field(gt=0)], ...] = (8, 16, 32)
    """Strides of the maps that are handed on, finest first; the last one is the model's largest."""

    def build(self) -> TimmFeatures:
        """Make the backbone with freshly drawn weights.

        Raises:
            ModelError: timm knows no such model, it hands on no maps, or none of an asked stride.
        """
        return TimmFeatures(timm_network(self), self.strides)


class TimmFeatures(nn.Module):
    """A `features_only` network of timm under our interface."""

    def __init__(self, body: nn.Module, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.body = body
        self.features = FeatureSpec(tuple(body.feature_info.channels()), strides)  # type: ignore[operator, union-attr]

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to one map per asked stride, finest first."""
        return list(self.body(x))


def timm_network(config: TimmConfig, *, pretrained: bool = False) -> nn.Module:
    """The `features_only` network that hands on the asked strides.

    Args:
        config: what is asked for.
        pretrained: download timm's default ImageNet weights, or take them from its cache.

    Raises:
        ModelError: timm knows no such model, it hands on no maps, or none of an asked stride.
    """
    import timm

    name = config.model
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "timm.list_models() lists all"
        raise ModelError(f"backbone.model = {name!r}: timm knows no such model; {hint}")
    try:
        with torch.device("meta"):
            plan = timm.create_model(name, pretrained=False, features_only=True)
    except (RuntimeError, AttributeError, AssertionError, TypeError) as error:
        raise ModelError(f"backbone.model = {name!r}: timm cannot hand on its maps ({error})") from None
    known: list[int] = plan.feature_info.reduction()
    layout = getattr(plan, "output_fmt", None)
    if layout is not None and getattr(layout, "value", layout) != "NCHW":
        raise ModelError(f"backbone.model = {name!r}: hands on maps with channels last; use a convolutional model")
    strides = list(config.strides)
    expect_strides(strides, known, whose=name)
    if strides[-1] != known[-1]:
        raise ModelError(
            f"backbone.strides = {config.strides}: {name} runs to its map of stride {known[-1]}; name that as the last"
        )
    # Where a stride comes twice, the deeper map.
    indices = [len(known) - 1 - known[::-1].index(stride) for stride in strides]
    indices = [plan.feature_info.out_indices[index] for index in indices]
    return timm.create_model(name, pretrained=pretrained, features_only=True, out_indices=tuple(indices))
