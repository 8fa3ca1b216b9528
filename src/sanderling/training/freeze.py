"""Parts of a network that do not learn: fixed weights, and BatchNorm that keeps its statistics."""

from __future__ import annotations

from torch import nn

from sanderling.errors import UsageError
from sanderling.models.network import DetectorNetwork


def frozen_modules(network: DetectorNetwork, choice: str | int | None) -> list[nn.Module]:
    """Which modules a choice means.

    Args:
        network: what is trained.
        choice: None for nothing, `backbone` for all of it, a number for that many parts of the backbone from the input
            on (ShuffleNetV2: stem, stage2, stage3, stage4).

    Raises:
        UsageError: no such choice.
    """
    if choice in (None, "", 0, "0"):
        return []
    if choice == "backbone":
        return [network.backbone]
    parts = [part for part in network.backbone.children() if any(True for _ in part.parameters())]
    number = int(choice) if str(choice).isdecimal() else -1
    if not 0 < number <= len(parts):
        names = [name for name, part in network.backbone.named_children() if part in parts]
        raise UsageError(f"freeze = {choice!r}: expected is 'backbone' or 1..{len(parts)} ({', '.join(names)})")
    return parts[:number]


def freeze(modules: list[nn.Module]) -> None:
    """Stop modules from learning; call again after `train()`, which wakes their BatchNorm."""
    for module in modules:
        module.eval()
        module.requires_grad_(False)
