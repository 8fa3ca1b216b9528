"""Weights of any format that we know, as tensors under the names of the network that they are read for."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from sanderling.errors import ModelError
from sanderling.models.network import DetectorNetwork
from sanderling.models.weights.backbone_names import from_backbone
from sanderling.models.weights.darknet_file import read_darknet
from sanderling.models.weights.nanodet_checkpoint import from_nanodet, holds_nanodet
from sanderling.models.weights.ncnn_file import read_ncnn
from sanderling.models.weights.ncnn_nanodet import from_ncnn
from sanderling.models.weights.paddle_names import from_paddle
from sanderling.models.weights.pdparams import read_pdparams
from sanderling.models.weights.safetensors_file import is_ours, read_tensors
from sanderling.models.weights.torch_file import read_state_dict

_NO_WEIGHTS = {
    ".cfg": "is a description without numbers; name the .weights file beside it",
    ".onnx": "is an exported graph; import the weights that it was made from",
}


def read_weights(path: Path, network: DetectorNetwork) -> dict[str, Tensor]:
    """Read a file of any format: its tensors by our names, for RGB, for as many classes as the file has.

    Args:
        path: our safetensors; darknet's `.weights`, with or without its `.cfg` beside it; NanoDet's `.pth`, `.ckpt` or
            ncnn pair (`.param` or `.bin`); PaddleDetection's `.pdparams`; an ImageNet classifier of torchvision's or
            timm's that has the network's backbone, as `.pth` or `.safetensors`.
        network: what the file is read for; formats without names, or with foreign ones, are told apart by it. It is
            not changed.

    Raises:
        ModelError: the file is missing, cut off, not a file of plain tensors, of no format that we know, or holds
            numbers that are none.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weights file")
    if path.suffix in _NO_WEIGHTS:
        raise ModelError(f"{path}: {_NO_WEIGHTS[path.suffix]}")
    tensors = _read(path, network)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ModelError(
                f"{path}: {name} holds NaN or infinity; such weights say nothing: take another checkpoint of the run"
            )
    return tensors


def _read(path: Path, network: DetectorNetwork) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        tensors = read_tensors(path)
        ours = is_ours(path) or not tensors.keys().isdisjoint(network.state_dict())
        return tensors if ours else from_backbone(tensors, network, source=str(path))
    if path.suffix == ".weights":
        return read_darknet(path, network)
    if path.suffix == ".param" or (path.suffix == ".bin" and path.with_suffix(".param").exists()):
        return from_ncnn(read_ncnn(path), network, source=str(path))
    if path.suffix == ".pdparams":
        return from_paddle(read_pdparams(path), network, source=str(path))
    state = read_state_dict(path)
    if holds_nanodet(state):
        return from_nanodet(state, source=str(path))
    return from_backbone(state, network, source=str(path))
