"""A tiny trained-looking detector and its export, made once per test run because tracing takes seconds."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sanderling.models.backbones.shufflenet_v2 import ShuffleNetV2Config
from sanderling.models.heads.distribution import DistributionHeadConfig
from sanderling.models.necks.tiny_pan import TinyPanConfig
from sanderling.models.network import DetectorConfig, DetectorNetwork
from sanderling.structures.artefact import PictureRule

TINY_CLASSES = ("fire", "smoke", "crane")
TINY_HW = (64, 96)


@functools.cache
def tiny_network() -> DetectorNetwork:
    """A network of a few thousand parameters that finds a good many boxes in any picture. Do not change it."""
    config = DetectorConfig(
        name="tiny",
        backbone=ShuffleNetV2Config(stem=8, channels=(8, 16, 32), units=(1, 1, 1)),
        neck=TinyPanConfig(channels=16),
        head=DistributionHeadConfig(depth=0, bins=4),
        class_names=TINY_CLASSES,
        picture=PictureRule(size_hw=TINY_HW),
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = config.build().eval()
        for parameter in network.head.get_submodule("gfl_cls").parameters():
            torch.nn.init.normal_(parameter, -1.0 if parameter.ndim == 1 else 0.0, 1.0)
    return network


@functools.cache
def tiny_weights() -> Path:
    """The tiny network as a weights file."""
    from sanderling.models.weights.safetensors_file import save_network

    path = _folder() / "tiny.safetensors"
    save_network(tiny_network(), path)
    return path


@functools.cache
def tiny_artefact() -> Path:
    """The tiny network exported to ONNX in the native layout, its sidecar beside it. Do not change it."""
    from sanderling.commands.export import export

    return export(tiny_weights(), output=_folder(), pictures=pictures(2)).path


def pictures(count: int, *, size_hw: tuple[int, int] = (47, 90)) -> list[NDArray[np.uint8]]:
    """Pictures of coloured blocks, uint8 HxWx3 RGB."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, (count, 1 + size_hw[0] // 8, 1 + size_hw[1] // 8, 3), dtype=np.uint8)
    return [picture.repeat(8, 0).repeat(8, 1)[: size_hw[0], : size_hw[1]] for picture in coarse]


def write_picture(path: Path, *, size_hw: tuple[int, int] = (47, 90)) -> Path:
    """One such picture as a file of the kind that its name says."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(pictures(1, size_hw=size_hw)[0][..., ::-1]))
    return path


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sanderling-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
