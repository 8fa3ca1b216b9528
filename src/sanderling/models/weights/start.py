"""Start a network from a weights file: keep what fits, re-make predictions for other classes, name the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sanderling.errors import ModelError
from sanderling.models.necks.yoloret import width_of_classes
from sanderling.models.network import DetectorNetwork
from sanderling.models.weights.class_outputs import count_classes, differ_in_classes, keep_boxes, rows_of
from sanderling.models.weights.fit import listed
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
            parts.append(f"{len(self.missing)} not in the file, drawn afresh ({listed(self.missing)})")
        if self.unexpected:
            parts.append(f"{len(self.unexpected)} of the file unused ({listed(self.unexpected)})")
        return "; ".join(parts)


def start_from(network: DetectorNetwork, path: Path) -> StartReport:
    """Copy the weights of a file into a network of the same structure.

    Takes every format that `read_weights` knows; of an ImageNet classifier it takes the backbone.

    Raises:
        ModelError: the file cannot be read, or it is of another model: a shape differs where classes play no part, or
            less than the whole backbone is found.
    """
    return start_with(network, read_weights(path, network), source=str(path))


def start_with(network: DetectorNetwork, tensors: Mapping[str, Tensor], *, source: str) -> StartReport:
    """The same from tensors under our names; `source` heads the errors."""
    tensors = dict(tensors)
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
                f"{source}: is of another model than {network.config.name!r}: {name} has shape {tuple(theirs.shape)}, "
                f"{tuple(ours.shape)} is expected{_width_hint(network, count_classes(tensors, outputs))}"
            )
    # BatchNorm's step counters may be missing: old files have none, nothing reads them.
    missing = [name for name in state if name not in loaded and not name.endswith(".num_batches_tracked")]
    no_backbone = [name for name in missing if name.startswith("backbone.")]
    if no_backbone:
        raise ModelError(
            f"{source}: is of another model than {network.config.name!r}: {len(no_backbone)} tensors of the backbone "
            f"are not in it, the first is {no_backbone[0]}"
        )
    network.load_state_dict(loaded, strict=False)
    return StartReport(kept=tuple(kept), remade=tuple(remade), missing=tuple(missing), unexpected=tuple(tensors))


def _width_hint(network: DetectorNetwork, file_classes: int | None) -> str:
    """What helps where other classes also mean another width of the neck."""
    key, classes = network.config.width_by_classes, len(network.config.class_names)
    if key is None or file_classes is None or file_classes == classes:
        return ""
    return (
        f". The file is for {file_classes} classes, this network for {classes}, and model.{key} = 'classes'; to start "
        f"from the file keep its width: --set model.{key}={width_of_classes(file_classes)}"
    )
