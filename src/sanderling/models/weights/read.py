"""Weights of any format that we know, as tensors under our names."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from sanderling.models.weights.nanodet_checkpoint import from_nanodet, read_state_dict
from sanderling.models.weights.safetensors_file import read_tensors


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read our safetensors, a NanoDet checkpoint, or a bare backbone with torchvision's key names.

    Raises:
        ModelError: the file is missing, cut off, not a file of plain tensors, or of no format that we know.
    """
    if path.suffix == ".safetensors":
        return read_tensors(path)
    state = read_state_dict(path)
    if "conv1.0.weight" in state:  # torchvision's ShuffleNetV2, trained on RGB
        return {f"backbone.{key}": value for key, value in state.items() if not key.startswith(("conv5.", "fc."))}
    return from_nanodet(state, source=str(path))
