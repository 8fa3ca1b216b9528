"""`export`: a trained model as an artefact that a device runs, with proof that both say the same."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from sanderling.commands.folders import output_folder
from sanderling.commands.open_detector import find_weights, picture_rule, require_torch
from sanderling.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from sanderling.export.write import ExportOutcome

logger = logging.getLogger(__name__)

Target = Literal["onnx"]
Layout = Literal["native", "yolo", "nms"]
InputType = Literal["float32", "uint8"]
Pictures = str | Path | Sequence[NDArray[np.uint8]]

# Rendered scenes are compared at shapes that cameras have, of which the input's own is none.
_SCENE_SIZES_HW = ((480, 640), (720, 1280), (640, 480), (333, 500))
_SCENES = 8
_MOST_PICTURES = 32


def export(
    model: str | Path,
    *,
    target: str = "onnx",
    output: str | Path | None = None,
    imgsz: int | Sequence[int] | None = None,
    layout: str = "native",
    resize: str | None = None,
    dynamic: bool = False,
    input_dtype: str = "float32",
    pictures: Pictures | None = None,
    threads: int | None = None,
) -> ExportOutcome:
    """Write a trained model as an artefact with its sidecar, after comparing both on pictures.

    Args:
        model: a weights file or a run folder.
        target: `onnx`.
        output: the folder, or the file when it ends in `.onnx`; by default `runs/export/NAME`. An artefact of the same
            name is replaced in one step.
        imgsz: side of the network input, or height and width; the model's own by default.
        layout: `native` for this package's runtime; `yolo` (1, 4 + C, A) or `nms` (1, N, 6) for the runners of others.
        resize: `letterbox` or `stretch`; the model's own by default.
        dynamic: let the batch vary.
        input_dtype: `float32`, or `uint8` for pixels as they are.
        pictures: what both are compared on: a picture, folder or glob, or uint8 HxWx3 RGB arrays (of many, 32 are
            taken, evenly spread); by default eight rendered scenes.
        threads: threads on the processor.

    Raises:
        UsageError: a value that does not fit.
        ModelError: the model cannot be used.
        DataError: not one of the pictures can be read.
        ExportError: the artefact cannot be written or does not agree with the model; nothing is left behind then.
        MissingDependencyError: torch, onnx or onnxscript is not installed.

    >>> export("runs/train/nanodet-m", output="exported").path  # doctest: +SKIP
    PosixPath('exported/nanodet-m.onnx')
    """
    _one_of("target", target, get_args(Target))
    _one_of("layout", layout, get_args(Layout))
    _one_of("input_dtype", input_dtype, get_args(InputType))
    if threads is not None and threads < 1:
        raise UsageError(f"threads = {threads}: at least 1 is expected")
    weights = find_weights(model)
    require_torch("export")
    import torch

    from sanderling.export.write import ExportChoice, export_onnx
    from sanderling.models.weights.safetensors_file import load_network

    if threads is not None:
        torch.set_num_threads(threads)
    network = load_network(weights)
    choice = ExportChoice(
        picture=picture_rule(network.config.picture, imgsz=imgsz, resize=resize, stride=network.stride),
        layout=cast(Layout, layout),
        dynamic_batch=dynamic,
        input_dtype=cast(InputType, input_dtype),
    )
    compared = _scenes() if pictures is None else _read(pictures)
    path = _target_path(Path(model), output)
    try:
        return export_onnx(network, path, choice, pictures=compared)
    except BaseException:
        _remove_made(path.parent, output)
        raise


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError(f"{name} = {value!r} is not known; {nearest(value, known)}")


def _target_path(model: Path, output: str | Path | None) -> Path:
    """The file to write. A named folder is left to `export_onnx`, which takes it away again when it fails."""
    name = f"{model.resolve().name if model.is_dir() else model.stem}.onnx"
    if output is None:
        return output_folder("export", Path(name).stem, None, False) / name
    return Path(output) if Path(output).suffix == ".onnx" else Path(output) / name


def _remove_made(folder: Path, output: str | Path | None) -> None:
    """Take away the numbered folder that was made for an export that failed."""
    if output is None and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _scenes() -> list[NDArray[np.uint8]]:
    from sanderling.datasets.synthetic import render_scene

    sizes_hw = [_SCENE_SIZES_HW[seed % len(_SCENE_SIZES_HW)] for seed in range(_SCENES)]
    return [render_scene(seed, size_hw=size_hw).image for seed, size_hw in enumerate(sizes_hw)]


def _read(pictures: Pictures) -> list[NDArray[np.uint8]]:
    """The pictures to compare on, evenly spread over what was named."""
    from sanderling.streams.sources import Unreadable, locate, read

    items = locate([pictures] if isinstance(pictures, str | Path) else pictures)
    if len(items) > _MOST_PICTURES:
        logger.info("comparing on %d of %d pictures, evenly spread", _MOST_PICTURES, len(items))
        items = [items[index * len(items) // _MOST_PICTURES] for index in range(_MOST_PICTURES)]
    images: list[NDArray[np.uint8]] = []
    unreadable: list[Unreadable] = []
    for frame in read(items):
        if isinstance(frame, Unreadable):
            logger.warning("left out of the comparison: %s", frame.error)
            unreadable.append(frame)
            continue
        images.append(frame.image)
        if len(images) == _MOST_PICTURES:
            break
    if not images:
        reason = f"; the first reason: {unreadable[0].error}" if unreadable else ""
        raise DataError(f"pictures: nothing to compare the artefact on{reason}")
    return images
