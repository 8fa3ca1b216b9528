"""Exporting whole or not at all: write aside, compare with the model, put in place."""

from __future__ import annotations

import dataclasses
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sanderling import __version__, config
from sanderling.errors import MissingDependencyError, UsageError
from sanderling.export.onnx import describe, graph_of, trace_onnx
from sanderling.export.parity import TOLERANCES, measure_parity, require_parity
from sanderling.models.merge import merge
from sanderling.models.network import DetectorNetwork
from sanderling.models.weights.safetensors_file import state_sha256
from sanderling.runtimes.open import open_artefact
from sanderling.structures.artefact import Artefact, Parity, PictureRule, sidecar_path

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportChoice:
    """What may be chosen about an ONNX file."""

    picture: PictureRule
    """Input size and resize rule."""
    layout: Literal["native", "yolo", "nms"] = "native"
    dynamic_batch: bool = False
    input_dtype: Literal["float32", "uint8"] = "float32"

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.layout != "native" and self.input_dtype != "float32":
            raise UsageError(
                f"input_dtype = {self.input_dtype!r} with layout = {self.layout!r}: that layout takes float32 0..1 by "
                "habit; use layout native for uint8"
            )
        if self.layout == "nms" and self.dynamic_batch:
            raise UsageError(
                "dynamic_batch with layout = 'nms': suppression inside the graph is for one picture; "
                "use layout native or yolo"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOutcome:
    """One artefact that was written."""

    path: Path
    sidecar: Path
    parity: Parity
    megabytes: float


def export_onnx(
    network: DetectorNetwork, path: Path, choice: ExportChoice, *, pictures: Sequence[NDArray[np.uint8]]
) -> ExportOutcome:
    """Write a network as an ONNX file with its sidecar, after proving that both say the same.

    Args:
        network: on the processor; it is put into eval mode.
        path: the file to write; one that stands there is replaced in one step.
        choice: size, layout, types.
        pictures: uint8 HxWx3 RGB of any size, what the comparison runs on.

    Raises:
        UsageError: no pictures.
        ModelError: the size is no multiple of the stride.
        ExportError: the network cannot be written, or the file does not agree with it; nothing is left behind then.
        MissingDependencyError: onnx or onnxscript is not installed.
    """
    if not pictures:
        raise UsageError("no pictures to compare the artefact on; give at least one")
    try:
        import onnx
    except ImportError:
        raise MissingDependencyError.for_extra("onnx", extra="train", purpose="export to ONNX") from None

    network.check_size(choice.picture.size_hw)
    artefact = artefact_of(network.eval(), choice)
    model = trace_onnx(merge(network), artefact)
    tolerance = TOLERANCES[artefact.engine]
    first_new = next((folder for folder in reversed(path.parents) if not folder.exists()), None)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as aside:
            file = Path(aside) / path.name
            describe(model, artefact)
            onnx.save(model, file)
            parity = measure_parity(network, open_artefact(file, threads=1), pictures, tolerance)
            require_parity(parity, tolerance, name=path.name)
            artefact = dataclasses.replace(artefact, parity=parity)
            describe(model, artefact)
            onnx.save(model, file)
            sidecar_path(file).write_text(json.dumps(config.plain(artefact), indent=1) + "\n", encoding="utf-8")
            file.replace(path)
            sidecar_path(file).replace(sidecar_path(path))
    except BaseException:
        _remove_empty(path.parent, down_to=first_new)
        raise
    logger.info(
        "%s: boxes within %.2g px, scores within %.2g of the model over %d points of %d pictures",
        path,
        parity.max_box_difference_px,
        parity.max_score_difference,
        parity.points,
        parity.pictures,
    )
    return ExportOutcome(
        path=path, sidecar=sidecar_path(path), parity=parity, megabytes=round(path.stat().st_size / 1e6, 3)
    )


def artefact_of(network: DetectorNetwork, choice: ExportChoice) -> Artefact:
    """What the sidecar will say, parity aside."""
    shell = Artefact(
        model=network.config.name,
        class_names=network.config.class_names,
        picture=choice.picture,
        postprocess=network.config.postprocess,
        layout=choice.layout,
        input_dtype=choice.input_dtype,
        input_scale=1.0 if choice.layout == "native" else 1 / 255,
        dynamic_batch=choice.dynamic_batch,
        stride=network.stride,
        weights_sha256=state_sha256(network),
        sanderling=__version__,
    )
    return dataclasses.replace(shell, output_names=graph_of(network, shell).output_names)


def _remove_empty(folder: Path, *, down_to: Path | None) -> None:
    """Take away the folders that were made for an export that failed."""
    while down_to is not None and folder.exists() and not any(folder.iterdir()):
        folder.rmdir()
        if folder == down_to:
            return
        folder = folder.parent
