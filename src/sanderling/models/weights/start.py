"""Start a network from a weights file: keep what fits, re-make predictions for other classes, name the rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sanderling.errors import ModelError
from sanderling.models.network import DetectorNetwork
from sanderling.models.weights.class_outputs import differ_in_classes, keep_boxes, rows_of
from sanderling.models.weights.read import read_weights


@dataclass(frozen=True, kw_only=True, slots=True)
class StartReport:
    """What became of every key: of the network (kept, remade, missing) and of the file (unexpected)."""

    kept: tuple[str, ...]
    remade: tuple[str, ...]
    """Predictions whose class count differs: boxes kept, classes drawn afresh."""
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    def __str__(self) -> str:
        """One line for people."""
        parts = [f"{len(self.kept)} tensors kept"]
        if self.remade:
            parts.append(f"{len(self.remade)} class predictions re-made for another class count")
        if self.missing:
            parts.append(f"{len(self.missing)} not in the file, drawn afresh ({', '.join(self.missing[:3])}, ...)")
        if self.unexpected:
            parts.append(f"{len(self.unexpected)} of the file unused ({', '.join(self.unexpected[:3])}, ...)")
        return "; ".join(parts)


def start_from(network: DetectorNetwork, path: Path) -> StartReport:
    """Copy the weights of a file into a network of the same structure.

    Takes our safetensors, NanoDet's checkpoints, and backbone-only state dicts with torchvision's key names.

    Raises:
        ModelError: the file cannot be read, or it is of another model: a shape differs where classes play no part, or
            less than the whole backbone is found.
    """
    tensors = read_weights(path)
    state = network.state_dict()
    outputs = network.class_rows()
    kept: list[str] = []
    remade: list[str] = []
    loaded: dict[str, Tensor] = {}
    for name, ours in state.items():
        theirs = tensors.pop(name, None)
        if theirs is None:
            continue
        if theirs.shape == ours.shape:
            loaded[name] = theirs
            kept.append(name)
        elif (rows := rows_of(name, outputs)) is not None and differ_in_classes(ours, theirs, rows):
            loaded[name] = keep_boxes(ours, theirs, rows)
            remade.append(name)
        else:
            raise ModelError(
                f"{path}: is of another model than {network.config.name!r}: {name} has shape {tuple(theirs.shape)}, "
                f"{tuple(ours.shape)} is expected"
            )
    missing = [name for name in state if name not in loaded]
    no_backbone = [name for name in missing if name.startswith("backbone.") and "num_batches" not in name]
    if no_backbone:
        raise ModelError(
            f"{path}: is of another model than {network.config.name!r}: {len(no_backbone)} tensors of the backbone are "
            f"not in it, the first is {no_backbone[0]}"
        )
    network.load_state_dict(loaded, strict=False)
    return StartReport(kept=tuple(kept), remade=tuple(remade), missing=tuple(missing), unexpected=tuple(tensors))
