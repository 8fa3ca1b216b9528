"""What travels beside an exported model: the sidecar that lets any runtime use it without knowing its family."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

SIDECAR_KEY = "sanderling"
"""Key of the sidecar inside the metadata of engines that have some."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureRule:
    """How a picture of any size becomes the network's input. Colour order and normalisation are in the graph."""

    size_hw: tuple[Annotated[int, Gt(0)], Annotated[int, Gt(0)]] = (320, 320)
    """Height and width of the network input, multiples of the largest stride."""
    resize: Literal["letterbox", "stretch"] = "letterbox"
    """Keep the aspect ratio and pad, centred; or stretch to the size."""
    pad_value: Annotated[int, Ge(0), Le(255)] = 0
    """Grey level of the letterbox border, 0..255."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GreedyNms:
    """Of two boxes that overlap by more than the rule's `iou`, the better one stays."""

    kind: Literal["greedy"] = "greedy"


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftNms:
    """Every box that stays lowers the scores of those that overlap it: `sanderling.ops.array.soft_nms`."""

    kind: Literal["soft"] = "soft"
    decay: Literal["linear", "gaussian"] = "gaussian"
    """Linear spares boxes that overlap by no more than the rule's `iou`; Gaussian spares none and asks for no `iou`."""
    sigma: Annotated[float, Gt(0)] = 0.5
    """Width of the Gaussian decay."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixNms:
    """All boxes lower the scores of worse ones at once, with no `iou` to choose: `sanderling.ops.array.matrix_nms`."""

    kind: Literal["matrix"] = "matrix"
    decay: Literal["linear", "gaussian"] = "linear"
    sigma: Annotated[float, Gt(0)] = 0.5
    """Width of the Gaussian decay. It divides; where it multiplies (PaddleDetection), the reciprocal is meant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoSuppression:
    """All boxes stay: for detectors that give each object once."""

    kind: Literal["none"] = "none"


Suppression = GreedyNms | SoftNms | MatrixNms | NoSuppression


@dataclass(frozen=True, kw_only=True, slots=True)
class PostprocessRule:
    """How boxes and scores per point become detections."""

    score: Annotated[float, Ge(0), Le(1)] = 0.05
    """Points that score lower are dropped, and so are detections whose score suppression lowers so far."""
    iou: Annotated[float, Gt(0), Le(1)] = 0.6
    """Of two boxes that overlap more, greedy NMS keeps the better one, and linear Soft-NMS lowers the other's score."""
    max_detections: Annotated[int, Gt(0)] = 100
    """At most so many detections a picture."""
    multi_label: bool = True
    """One point may give several classes; else only its best."""
    class_agnostic: bool = False
    """Suppress across classes instead of per class."""
    suppression: Suppression = GreedyNms()
    """What becomes of boxes that overlap."""

    @property
    def takes_iou(self) -> bool:
        """Whether the suppression asks for `iou`."""
        return self.suppression.kind == "greedy" or (
            self.suppression.kind == "soft" and self.suppression.decay == "linear"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """How far an artefact was found from its model when it was exported."""

    pictures: int
    points: int
    """Points that either scores above 0.01 (where a picture has none, its best hundred), all pictures together; the two
    differences are over these."""
    max_box_difference_px: float
    max_score_difference: float
    detections: int
    """Detections of the model after suppression, all pictures together; where the runtime is to lower scores, after
    greedy suppression."""
    detections_equal: bool
    """The artefact found the same ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Artefact:
    """The sidecar of an exported model.

    Outputs by layout, boxes in pixels of the network input (B pictures, A points, C classes, N detections):

    - native: `boxes_xyxy` (B, A, 4) and `scores` (B, A, C);
    - yolo: `output0` (B, 4 + C, A), centre, size and scores;
    - nms: `output0` (1, N, 6), corners, score and class after suppression, rows of zeros at the end.
    """

    format_version: Literal[1] = 1
    engine: Literal["onnx", "ncnn", "openvino", "litert"] = "onnx"
    model: str
    """Name of the model configuration."""
    class_names: tuple[str, ...]
    picture: PictureRule
    postprocess: PostprocessRule
    layout: Literal["native", "yolo", "nms"] = "native"
    input_name: str = "images"
    input_dtype: Literal["float32", "uint8"] = "float32"
    input_scale: float = 1.0
    """The pixel values 0..255 are multiplied by this before they go in (1/255 for the yolo and nms layouts)."""
    input_layout: Literal["nchw", "nhwc"] = "nchw"
    dynamic_batch: bool = False
    output_names: tuple[str, ...] = ("boxes_xyxy", "scores")
    stride: int = 32
    """Input sides are multiples of this."""
    weights_sha256: str = ""
    """Hash of the weights that were exported."""
    sanderling: str = ""
    """Version that wrote the artefact."""
    parity: Parity | None = None


def sidecar_path(artefact_path: Path) -> Path:
    """The sidecar of an artefact: its own name with `.json` behind it, so that every engine's file has its own."""
    return artefact_path.with_name(artefact_path.name + ".json")
