"""PyTorch's checkpoints (`.pth`, `.pt`, `.ckpt`): the tensors in them, and never their code."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import torch
from torch import Tensor

from sanderling.errors import ModelError


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a PyTorch checkpoint, from `state_dict` where it has one; only arrays, never code.

    Raises:
        ModelError: the file is missing, cut off, or holds anything but plain containers and tensors.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weights file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about how odd files were written; what cannot be read is an error
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError, OSError):
        # Torch's own words are left out: they advise to read the file again with its code.
        raise ModelError(
            f"{path}: is no checkpoint of plain tensors, or it is cut off; nothing in it was run"
        ) from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else loaded
    named = isinstance(state, dict) and all(isinstance(name, str) for name in state)
    if not named or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path}: holds no state_dict of tensors")
    for name, value in state.items():
        if not _is_stored(value):
            raise ModelError(
                f"{path}: {name[:80]} is no plain tensor: all its numbers have to be in the file, and real"
            )
    return dict(state)


def _is_stored(tensor: Tensor) -> bool:
    """Whether a tensor is dense, real and no larger than what is stored of it."""
    dense = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    return dense and not tensor.is_complex() and tensor.nbytes <= tensor.untyped_storage().nbytes()
