"""ImageNet classifiers of others (torchvision's, timm's, packages of weights) as backbones of ours.

Such files hold a network without prefix, trained on RGB pictures, and its classifier at the end. Where their names are
ours (ShuffleNetV2, ResNet) tensors are taken by name. Elsewhere the same network has other names, and tensors are taken
in their order, which is that of the layers: all of the backbone, each with its shape and kind, or none.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.layers.deformable import DeformableConv
from sanderling.models.network import DetectorNetwork

_COUNTER = "num_batches_tracked"


def from_backbone(state: Mapping[str, Tensor], network: DetectorNetwork, *, source: str) -> dict[str, Tensor]:
    """The tensors of a bare backbone under our names; those of its classifier keep theirs.

    No classifier has the side convolutions of deformable ones; here they are zero, as they start.

    Raises:
        ModelError: it is another backbone.
    """
    state_of_ours, side = network.backbone.state_dict(), _side_convolutions(network.backbone)
    ours = {name: tensor for name, tensor in state_of_ours.items() if not name.endswith(_COUNTER) and name not in side}
    theirs = {name.removeprefix("module."): tensor for name, tensor in state.items() if not name.endswith(_COUNTER)}
    if ours.keys() <= theirs.keys():
        names = {name: name for name in ours}
    else:
        names = dict(zip(theirs, ours, strict=False))
        if why := _difference(ours, theirs):
            kind = network.config.backbone.kind
            raise ModelError(
                f"{source}: is no backbone of {network.config.name} ({kind}), and no checkpoint of it: {why}"
            )
    found = {f"backbone.{names[name]}" if name in names else name: tensor for name, tensor in theirs.items()}
    return found | {f"backbone.{name}": torch.zeros_like(state_of_ours[name]) for name in side}


def _side_convolutions(backbone: nn.Module) -> set[str]:
    return {
        f"{name}.offset.{leaf}"
        for name, module in backbone.named_modules()
        if isinstance(module, DeformableConv)
        for leaf in ("weight", "bias")
    }


def _difference(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> str:
    """The first tensor that differs in kind or shape, in words; empty where there is none."""
    for (our_name, our), (their_name, their) in zip(ours.items(), theirs.items(), strict=False):
        if our_name.rpartition(".")[2] != their_name.rpartition(".")[2] or our.shape != their.shape:
            return f"its {their_name} is {tuple(their.shape)}, backbone.{our_name} is {tuple(our.shape)}"
    if len(theirs) < len(ours):
        return f"it holds {len(theirs)} tensors, the backbone has {len(ours)}"
    return ""
