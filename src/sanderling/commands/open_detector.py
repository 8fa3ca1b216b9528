"""Any model that a user names, opened: a weights file, a run folder, an exported artefact."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.errors import MissingDependencyError, ModelError, UsageError
from sanderling.structures.artefact import PictureRule, PostprocessRule

if TYPE_CHECKING:
    from sanderling.models.predictor import TorchDetector
    from sanderling.runtimes.detector import ArtefactDetector

logger = logging.getLogger(__name__)

_RESIZES = ("letterbox", "stretch")
_WEIGHTS_IN_RUN = Path("weights", "best.safetensors")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """How pictures go into a detector and detections come out: what `--set` may change."""

    picture: PictureRule
    postprocess: PostprocessRule


def open_detector(
    model: str | Path,
    *,
    imgsz: int | Sequence[int] | None = None,
    resize: str | None = None,
    conf: float | None = None,
    iou: float | None = None,
    max_det: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    assignments: Sequence[str] = (),
) -> TorchDetector | ArtefactDetector:
    """Open a detector of pictures. What is not given is the model's own.

    Args:
        model: a weights file (`.safetensors`), a run folder, or an exported artefact (`.onnx`).
        imgsz: side of the network input, or height and width; rounded up to the stride.
        resize: `letterbox` or `stretch`.
        conf: lowest score.
        iou: overlap above which the better box stays alone.
        max_det: most detections a picture.
        device: `cpu`, `cuda`, `cuda:1` ...; by default the GPU where there is one. Artefacts run on the processor.
        threads: threads on the processor, of this whole process.
        assignments: `key=value` for anything else in `Rules`, for example `postprocess.suppression.kind=matrix`.

    Raises:
        UsageError: a value that does not fit, or `iou` where the suppression has none.
        ModelError: the model is missing, unreadable, or has another input size or suppression inside than asked for.
        MissingDependencyError: torch or an engine is not installed.
    """
    from sanderling.runtimes.open import ARTEFACT_SUFFIXES, open_artefact

    if threads is not None and threads < 1:
        raise UsageError(f"threads = {threads}: at least 1 is expected")
    if threads is not None:
        # Whoever asks for one thread means all of them, also those that resize pictures.
        import cv2

        cv2.setNumThreads(threads)
    wishes = _Wishes(
        imgsz=imgsz, resize=resize, thresholds={"conf": conf, "iou": iou, "max_det": max_det}, assignments=assignments
    )
    if Path(model).suffix in ARTEFACT_SUFFIXES:
        if device not in (None, "cpu"):
            raise UsageError(f"device = {device!r}: an exported artefact runs on the processor; use --device cpu")
        opened = open_artefact(Path(model), threads=threads)
        rules = wishes.applied(opened.picture, opened.postprocess, stride=opened.artefact.stride)
        return opened.with_rules(picture=rules.picture, postprocess=rules.postprocess)
    weights = find_weights(model)
    require_torch("running a weights file")
    import torch

    from sanderling.models.predictor import TorchDetector
    from sanderling.models.weights.safetensors_file import load_network

    if threads is not None:
        torch.set_num_threads(threads)
    network = load_network(weights)
    rules = wishes.applied(network.config.picture, network.config.postprocess, stride=network.stride)
    return TorchDetector(network, picture=rules.picture, postprocess=rules.postprocess, device=_device(device))


def find_weights(model: str | Path) -> Path:
    """The weights file that a name stands for: the file itself, or the best one of a run folder.

    Raises:
        ModelError: there is none.
    """
    from sanderling.runtimes.open import ARTEFACT_SUFFIXES

    path = Path(model)
    if path.is_dir():
        inside = path / _WEIGHTS_IN_RUN
        if not inside.is_file():
            raise ModelError(f"{path}: holds no {_WEIGHTS_IN_RUN}; name a run folder that has finished an epoch")
        return inside
    if not path.is_file():
        raise ModelError(
            f"{path}: no such file or folder; name a weights file (.safetensors), a run folder or an exported .onnx "
            "file (names of the zoo carry no weights: train one first, or read published ones with "
            "sanderling weights import)"
        )
    if path.suffix in ARTEFACT_SUFFIXES:
        raise ModelError(
            f"{path}: is an exported artefact; the weights that it was made from are needed here: name a .safetensors "
            "file or a run folder"
        )
    if path.suffix != ".safetensors":
        raise ModelError(
            f"{path}: files ending in {path.suffix or 'nothing'!r} cannot be opened as a model; read foreign weights "
            "first: sanderling weights import FILE --model NAME -o FILE.safetensors"
        )
    return path


def picture_rule(
    rule: PictureRule, *, imgsz: int | Sequence[int] | None, resize: str | None, stride: int
) -> PictureRule:
    """A model's picture rule with what the user asked for.

    Raises:
        UsageError: a size or a resize rule that does not exist.
    """
    changes: dict[str, Any] = {}
    if imgsz is not None:
        changes["size_hw"] = _input_size(imgsz, stride)
    if resize is not None:
        if resize not in _RESIZES:
            raise UsageError(f"resize = {resize!r}: {' or '.join(_RESIZES)} is expected")
        changes["resize"] = resize
    return dataclasses.replace(rule, **changes)


def require_torch(purpose: str) -> None:
    """Stop with the line that installs torch where it is missing; else prepare the process for it.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    import os
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise MissingDependencyError.for_extra("torch", extra="train", purpose=purpose)
    # Threads that spin while they wait fight for the cores of a busy machine: an epoch can take ten times as long.
    # Never spinning costs a seventh on a quiet one. GNU OpenMP reads this when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wishes:
    """What the user asked for; None where it is the model's own."""

    imgsz: int | Sequence[int] | None
    resize: str | None
    thresholds: dict[str, Any]
    assignments: Sequence[str]

    def applied(self, picture: PictureRule, postprocess: PostprocessRule, *, stride: int) -> Rules:
        """A model's rules with the wishes in their place."""
        from sanderling import config

        rules = Rules(
            picture=picture_rule(picture, imgsz=self.imgsz, resize=self.resize, stride=stride),
            postprocess=_postprocess_rule(postprocess, self.thresholds),
        )
        rules = config.override(rules, self.assignments)
        if self.thresholds["iou"] is not None and not rules.postprocess.takes_iou:
            raise UsageError(
                f"iou = {self.thresholds['iou']}: the suppression is {rules.postprocess.suppression}, which knows no "
                "such threshold; leave --iou out, or suppress by --set postprocess.suppression.kind=greedy"
            )
        return rules


def _input_size(imgsz: int | Sequence[int], stride: int) -> tuple[int, int]:
    from sanderling.pictures import round_up_size

    sides = (imgsz,) if isinstance(imgsz, int) else tuple(imgsz)
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise UsageError(f"imgsz = {list(sides)}: one side or height and width, in pixels, is expected")
    asked = (sides[0], sides[-1])
    size_hw = round_up_size(asked, stride)
    if size_hw != asked:
        logger.warning(
            "imgsz %dx%d is rounded up to %dx%d (height x width), multiples of the stride %d", *asked, *size_hw, stride
        )
    return size_hw


def _postprocess_rule(rule: PostprocessRule, thresholds: dict[str, Any]) -> PostprocessRule:
    from sanderling import config

    for name, field in (("conf", "score"), ("iou", "iou"), ("max_det", "max_detections")):
        if thresholds[name] is not None:
            rule = config.parse(type(rule), {**config.plain(rule), field: thresholds[name]}, source=name)
    return rule


def _device(device: str | None) -> str:
    import torch

    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    name = f"cuda:{device}" if device.isdigit() else device
    try:
        kind = torch.device(name).type
    except RuntimeError:
        raise UsageError(f"device = {device!r}: no device is named so; use cpu, cuda or cuda:NUMBER") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device = {device!r}: this machine has no usable GPU; use --device cpu")
    return name
