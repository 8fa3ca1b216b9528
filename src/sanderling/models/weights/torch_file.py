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
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError, OSError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{path}: is no checkpoint of plain tensors, or it is cut off ({first_line[:160]}); nothing in it was run"
        ) from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else loaded
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path}: holds no state_dict of tensors")
    return dict(state)
