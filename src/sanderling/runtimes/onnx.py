"""ONNX Runtime on the processor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sanderling.errors import MissingDependencyError, ModelError
from sanderling.structures.artefact import Artefact


class OnnxEngine:
    """One ONNX file, loaded.

    Args:
        path: the file.
        threads: how many threads one picture may use.

    Attributes:
        metadata: text by key that the file carries.

    Raises:
        ModelError: the file is missing or is no ONNX model that this engine can run.
        MissingDependencyError: onnxruntime is not installed.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingDependencyError(
                "running an ONNX file needs the package 'onnxruntime', which is not installed; "
                "run: pip install onnxruntime"
            ) from None
        if not path.is_file():
            raise ModelError(f"{path}: no such artefact")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Planning memory ahead costs some megabytes and gains no time on these small networks.
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its own that share no base
            raise ModelError(
                f"{path}: is no ONNX model that ONNX Runtime {onnxruntime.__version__} can run: {_first_line(error)}"
            ) from None
        self.path = path
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._input_name = self._session.get_inputs()[0].name
        self._output_names: list[str] = []

    def fit(self, artefact: Artefact) -> None:
        """Check that the file is the one that the artefact describes, and read the outputs it names from now on.

        Raises:
            ModelError: names, the input's type or size, the classes or the weights differ.
        """
        given = self._session.get_inputs()[0]
        outputs = {output.name: output.shape for output in self._session.get_outputs()}
        height, width = artefact.picture.size_hw
        facts = {
            "input_name": (artefact.input_name, given.name),
            "input_dtype": (artefact.input_dtype, "uint8" if "uint8" in given.type else "float32"),
            "picture.size_hw": ([height, width], list(given.shape[2:])),
            "weights_sha256": (artefact.weights_sha256, self.metadata.get("weights_sha256", artefact.weights_sha256)),
        }
        for field, (stated, found) in facts.items():
            if stated != found:
                raise ModelError(
                    f"{self.path}: its sidecar says {field} = {stated}, the file has {found}; "
                    "they are of two exports: bring the right sidecar or export the model again"
                )
        absent = [name for name in artefact.output_names if name not in outputs]
        if absent:
            raise ModelError(
                f"{self.path}: its sidecar names the output {absent[0]!r}, the file has {sorted(outputs)}; "
                "they are of two exports: bring the right sidecar or export the model again"
            )
        classes = _classes(outputs[artefact.output_names[-1]], artefact)
        if classes is not None and classes != len(artefact.class_names):
            raise ModelError(
                f"{self.path}: its sidecar names {len(artefact.class_names)} classes, the file has {classes}; "
                "they are of two exports: bring the right sidecar or export the model again"
            )
        self._output_names = list(artefact.output_names)

    def run(self, images: NDArray[Any]) -> Sequence[NDArray[np.float32]]:
        """Network input (B, 3, H, W) to the outputs, in the artefact's order."""
        outputs: Sequence[NDArray[np.float32]] = self._session.run(self._output_names, {self._input_name: images})
        return outputs


def _classes(shape: Sequence[int | str | None], artefact: Artefact) -> int | None:
    """How many classes the output of that shape scores; None where its shape does not tell."""
    size, box_numbers = (shape[-1], 0) if artefact.layout == "native" else (shape[1], 4)
    return size - box_numbers if artefact.layout != "nms" and isinstance(size, int) else None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
