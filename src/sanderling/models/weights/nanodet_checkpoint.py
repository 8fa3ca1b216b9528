"""NanoDet's published PyTorch checkpoints (`.pth`, `.ckpt`).

Three things differ from our networks: key prefixes (`fpn.` is our `neck.`), a buffer that our coding computes, and the
channel order of the first convolution, which was trained on BGR pictures.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from sanderling.errors import ModelError

_FIRST_CONV = "backbone.conv1.0.weight"
_COMPUTED = "head.distribution_project.project"
_AVERAGED = "avg_model."


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


def from_nanodet(state: Mapping[str, Tensor], *, source: str) -> dict[str, Tensor]:
    """A NanoDet state dict under our names, RGB; the averaged weights where it holds both.

    Raises:
        ModelError: it is not NanoDet's.
    """
    averaged = {key: value for key, value in state.items() if key.startswith(_AVERAGED)}
    renamed = {_our_name(key): value for key, value in (averaged or state).items()}
    renamed.pop(_COMPUTED, None)
    first = renamed.get(_FIRST_CONV)
    if first is None or first.ndim != 4:
        raise ModelError(
            f"{source}: is no NanoDet checkpoint: {_FIRST_CONV!r} is missing among {len(state)} keys "
            f"(first: {next(iter(state), 'none')!r})"
        )
    renamed[_FIRST_CONV] = first.flip(1)
    return renamed


def _our_name(key: str) -> str:
    for prefix in ("module.", _AVERAGED, "model."):
        key = key.removeprefix(prefix)
    return "neck." + key.removeprefix("fpn.").replace(".conv.", ".") if key.startswith("fpn.") else key
