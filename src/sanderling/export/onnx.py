"""A network as one ONNX file: plain to every runner that knows ONNX, complete for ours.

The metadata keys are the ones that YOLO runners and model viewers look for, plus `preprocess`, the hash of the weights
and the whole sidecar under the key `sanderling`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import torch

from sanderling import __version__, config
from sanderling.errors import ExportError, MissingDependencyError
from sanderling.export.graph import NativeGraph, NmsGraph, YoloGraph
from sanderling.models.network import DetectorNetwork
from sanderling.structures.artefact import SIDECAR_KEY, Artefact

if TYPE_CHECKING:
    import onnx

_OPSET = 20
_LARGEST_BATCH = 64


def trace_onnx(network: DetectorNetwork, artefact: Artefact) -> onnx.ModelProto:
    """Turn a network in eval mode into an ONNX model as the artefact describes it, without metadata.

    Raises:
        MissingDependencyError: onnx or onnxscript is not installed.
        ExportError: an operation has no counterpart in ONNX.
    """
    for package in ("onnx", "onnxscript"):
        _require(package)
    dtype = torch.uint8 if artefact.input_dtype == "uint8" else torch.float32
    # A batch of one would be taken for a constant.
    batch = 2 if artefact.dynamic_batch else 1
    example = torch.zeros(batch, 3, *artefact.picture.size_hw, dtype=dtype)
    sizes = {0: torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)} if artefact.dynamic_batch else {}
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                graph_of(network, artefact).eval(),
                (example,),
                dynamo=True,
                opset_version=_OPSET,
                external_data=False,
                input_names=[artefact.input_name],
                output_names=list(artefact.output_names),
                dynamic_shapes=(sizes,),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(
            f"{artefact.model}: cannot be written as ONNX opset {_OPSET}: {_root_cause(error)}; "
            "report the network that this happens with"
        ) from error
    assert program is not None
    return _without_traces(program.model_proto)


def graph_of(network: DetectorNetwork, artefact: Artefact) -> NativeGraph | YoloGraph | NmsGraph:
    """The module that the artefact's layout exports."""
    if artefact.layout == "yolo":
        return YoloGraph(network)
    if artefact.layout == "nms":
        return NmsGraph(network, artefact.postprocess)
    return NativeGraph(network)


def describe(model: onnx.ModelProto, artefact: Artefact) -> None:
    """Write the artefact into the model's metadata, replacing what is there."""
    from onnx import helper

    model.producer_name, model.producer_version = "sanderling", __version__
    helper.set_model_props(model, metadata_props(artefact))


def metadata_props(artefact: Artefact) -> dict[str, str]:
    """The artefact as ONNX metadata: text by key, no paths in it."""
    picture = artefact.picture
    preprocess = {
        "color": "RGB",
        "range": [0, 255 if artefact.input_scale == 1 else 1],
        "resize": picture.resize,
        "align": "center",
        "pad_value": picture.pad_value,
        "normalisation": "in the graph",
    }
    arguments = {"batch": 1, "dynamic": artefact.dynamic_batch, "nms": artefact.layout == "nms", "opset": _OPSET}
    return {
        "description": f"{artefact.model}, {len(artefact.class_names)} classes, exported by Sanderling",
        "author": "Sanderling",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "license": "Apache-2.0 (Sanderling); the weights stand under the terms of their owner",
        "stride": str(artefact.stride),
        "task": "detect",
        "batch": "1",
        "channels": "3",
        "imgsz": str(list(picture.size_hw)),
        "names": str(dict(enumerate(artefact.class_names))),
        "args": str(arguments),
        "preprocess": json.dumps(preprocess),
        "weights_sha256": artefact.weights_sha256,
        SIDECAR_KEY: json.dumps(config.plain(artefact)),
    }


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what the exporter notes on every node and value: a tenth of the file, and paths of this machine."""
    graph = model.graph
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("metadata_props")
    # Shapes of inner values are inferred again by every engine.
    graph.ClearField("value_info")
    graph.name = "detector"
    return model


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).splitlines() or [type(error).__name__])[0]


def _require(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise MissingDependencyError.for_extra(package, extra="train", purpose="export to ONNX")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own notes to its developers away from the user."""
    noisy = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in noisy]
    try:
        for logger in noisy:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(noisy, levels, strict=True):
            logger.setLevel(level)
