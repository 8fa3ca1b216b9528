from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sanderling.errors import ModelError
from sanderling.models import zoo
from sanderling.models.backbones.csp_tiny import CspTinyConfig
from sanderling.models.backbones.linear_bottlenecks import LinearBottlenecksConfig
from sanderling.models.backbones.tiny_darknet import TinyDarknetConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.separable_top_down import SeparableTopDownConfig
from sanderling.models.necks.tiny_prn import TinyPrnConfig
from sanderling.models.necks.tiny_yolo import TinyYoloNeckConfig
from sanderling.models.network import DetectorConfig
from sanderling.models.weights.darknet_file import darknet_order, read_darknet
from sanderling.ops.tensor.decode import decode
from tests.support.darknet import Section, cfg_text, random_numbers, run, sections_of, write_weights

ANCHORS = "10,14, 23,27, 37,58, 81,82, 135,169, 344,319"
TWO_LEVELS = (((23, 27), (37, 58), (81, 82)), ((81, 82), (135, 169), (344, 319)))
CLASSES = ("a", "b")

_PARTIAL_STAGE = """
conv {c} 3 1 leaky
half
conv {h} 3 1 leaky
conv {h} 3 1 leaky
route -1,-2
conv {c} 1 1 leaky
route -6,-1
pool 2 2
"""
_TINY_NECK = """conv 16 1 1 leaky
conv 32 3 1 leaky
conv 21 1 1 linear plain
yolo 3,4,5 {scale}
route -4
conv 8 1 1 leaky
up
route -1,{finer}
conv 16 3 1 leaky
conv 21 1 1 linear plain
yolo 1,2,3 {scale}
"""
YOLOV4_TINY = (
    "conv 4 3 2 leaky\nconv 8 3 2 leaky"
    + "".join(_PARTIAL_STAGE.format(c=channels, h=channels // 2) for channels in (8, 16, 32))
    + "conv 64 3 1 leaky\n"
    + _TINY_NECK.format(finer=23, scale=1.05)
)
YOLOV4_TINY_3L = (
    YOLOV4_TINY.replace("yolo 3,4,5", "yolo 4,5").replace("yolo 1,2,3", "yolo 2,3").replace("21 1 1", "14 1 1")
    + """route -3
conv 4 1 1 leaky
up
route -1,15
conv 8 3 1 leaky
conv 14 1 1 linear plain
yolo 0,1 1.05
"""
)
_POOLED = "conv 4 3 1 leaky\n" + "".join(f"pool 2 2\nconv {width} 3 1 leaky\n" for width in (8, 16, 32, 64, 128))
YOLOV3_TINY = _POOLED + "pool 2 1\nconv 256 3 1 leaky\n" + _TINY_NECK.format(finer=8, scale=1)
YOLOV3_TINY_PRN = (
    _POOLED
    + """pool 2 1
conv 128 3 1 leaky
add -3 leaky
conv 64 1 1 leaky
conv 64 3 1 leaky
add -2 leaky
conv 21 1 1 linear plain
yolo 3,4,5 1
route -4
conv 32 1 1 leaky
up
add 8 leaky
conv 32 3 1 leaky
add -3 leaky
add 8 leaky
conv 21 1 1 linear plain
yolo 1,2,3 1
"""
)
FASTEST = """
conv 4 3 2 leaky
conv 4 1 1 leaky
conv 4 3 1 leaky groups=4
conv 3 1 1 linear
conv 6 1 1 leaky
conv 6 3 2 leaky groups=6
conv 4 1 1 linear
conv 8 1 1 leaky
conv 8 3 2 leaky groups=8
conv 5 1 1 linear
conv 8 1 1 leaky
conv 8 3 1 leaky groups=8
conv 5 1 1 linear
drop .15
add -5 linear
conv 10 1 1 leaky
conv 10 3 2 leaky groups=10
conv 6 1 1 linear
conv 12 1 1 leaky
conv 12 3 2 leaky groups=12
conv 7 1 1 linear
pool 3 1
route -2
pool 5 1
route -4
pool 9 1
route -1,-3,-5,-6
conv 9 1 1 leaky
conv 9 5 1 leaky groups=9
conv 9 1 1 linear
conv 9 5 1 leaky groups=9
conv 10 1 1 linear
conv 21 1 1 linear plain
yolo 3,4,5 1.0
route -7
up
route -1,17
conv 15 5 1 leaky groups=15
conv 12 1 1 linear
conv 12 5 1 leaky groups=12
conv 12 1 1 linear
conv 21 1 1 linear plain
yolo 1,2,3 1.0
"""
NANO = """
conv 4 3 2 relu
conv 4 3 1 relu groups=4
conv 3 1 1 linear
conv 6 1 1 relu
conv 6 3 2 relu groups=6
conv 4 1 1 linear
conv 8 1 1 relu
conv 8 3 2 relu groups=8
conv 5 1 1 linear
conv 10 1 1 relu
conv 10 3 2 relu groups=10
conv 6 1 1 linear
conv 12 1 1 relu
conv 12 3 2 relu groups=12
conv 7 1 1 linear
pool 3 1
route -2
pool 5 1
route -4
pool 9 1
route -1,-3,-5,-6
conv 9 1 1 relu
conv 9 3 1 relu groups=9
conv 5 1 1 relu
conv 10 1 1 relu
conv 21 1 1 linear plain
yolo 3,4,5 1.1
route 21
up
route -1,12
conv 8 1 1 relu
conv 8 3 1 relu groups=8
conv 9 1 1 relu
conv 21 1 1 linear plain
yolo 1,2,3 1.05
"""


def _config(**parts: object) -> DetectorConfig:
    base = zoo.config("yolov4-tiny-debug", CLASSES)
    return dataclasses.replace(base, name="small", **{"head": YoloHeadConfig(anchors=TWO_LEVELS), **parts})  # type: ignore[arg-type]


_TINY_HEAD = YoloHeadConfig(anchors=TWO_LEVELS, scale_xy=1.05)
_THREE_LEVELS = YoloHeadConfig(
    anchors=(((10, 14), (23, 27)), ((37, 58), (81, 82)), ((135, 169), (344, 319))), scale_xy=1.05
)
_SMALL_NECK = TinyYoloNeckConfig(width=32)
NETWORKS = {
    "yolov4-tiny": (YOLOV4_TINY, _config(backbone=CspTinyConfig(width=4), neck=_SMALL_NECK, head=_TINY_HEAD)),
    "yolov4-tiny-3l": (
        YOLOV4_TINY_3L,
        _config(backbone=CspTinyConfig(width=4, strides=(8, 16, 32)), neck=_SMALL_NECK, head=_THREE_LEVELS),
    ),
    "yolov3-tiny": (YOLOV3_TINY, _config(backbone=TinyDarknetConfig(width=4), neck=_SMALL_NECK)),
    "yolov3-tiny-prn": (
        YOLOV3_TINY_PRN,
        _config(backbone=TinyDarknetConfig(width=4, residual=True), neck=TinyPrnConfig(width=64)),
    ),
    "yolo-fastest": (
        FASTEST,
        _config(
            backbone=LinearBottlenecksConfig(
                stem=4,
                rows=((4, 3, 1, 1), (6, 4, 2, 1), (8, 5, 2, 1), (8, 5, 1, 1), (10, 6, 2, 1), (12, 7, 2, 1)),
                act="leaky_relu",
                always_expand=True,
                dropout=0.15,
            ),
            neck=SeparableTopDownConfig(
                coarse_in=9,
                coarse=("depthwise", 9, "depthwise", 10),
                fine=("depthwise", 12, "depthwise", 12),
                kernel=5,
                linear=True,
                act="leaky_relu",
            ),
        ),
    ),
    "mobilenetv2-yolov3-nano": (
        NANO,
        _config(
            backbone=LinearBottlenecksConfig(
                stem=4,
                rows=((4, 3, 1, 1), (6, 4, 2, 1), (8, 5, 2, 1), (10, 6, 2, 1), (12, 7, 2, 1)),
                act="relu",
                tap="expansion",
            ),
            neck=SeparableTopDownConfig(
                coarse_in=9, coarse=("depthwise", 5, 10), fine=(8, "depthwise", 9), kernel=3, linear=False, act="relu"
            ),
            head=YoloHeadConfig(anchors=TWO_LEVELS, scale_xy=(1.05, 1.1)),
        ),
    ),
}


def _written(
    tmp_path: Path, name: str, *, with_cfg: bool = True, classes: int = 2
) -> tuple[Path, DetectorConfig, list[Section], NDArray[np.float32]]:
    """A weights file of random numbers, and its cfg beside it if asked for."""
    lines, config = NETWORKS[name]
    anchors = len(config.head.anchors[0]) if isinstance(config.head, YoloHeadConfig) else 0
    lines = lines.replace(f"conv {7 * anchors} 1 1 linear plain", f"conv {(5 + classes) * anchors} 1 1 linear plain")
    sections = sections_of(lines, anchors=ANCHORS, classes=classes)
    numbers = random_numbers(sections)
    path = tmp_path / "net.weights"
    write_weights(path, numbers)
    if with_cfg:
        path.with_suffix(".cfg").write_text("# of a test\n" + cfg_text(sections))
    return path, config, sections, numbers


@pytest.mark.parametrize("name", NETWORKS)
def test_our_networks_are_those_of_the_cfg_files(name: str, tmp_path: Path) -> None:
    path, config, sections, numbers = _written(tmp_path, name)
    network = config.build().eval()
    tensors = read_darknet(path, network)
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    assert all(key.endswith("num_batches_tracked") for key in missing)
    assert unexpected == []
    images = torch.randint(0, 256, (2, 3, 96, 64), generator=torch.Generator().manual_seed(0)).float()
    with torch.no_grad():
        predictions = network(images)
        _, scores = decode(predictions)
        levels = run(sections, numbers, images / 255)
    boxes = predictions.coding.decode(predictions.box_logits, predictions.priors_cxcywh, predictions.strides)
    # darknet's outputs come in the order of the cfg, the coarsest level first.
    torch.testing.assert_close(boxes, torch.cat([level[0] for level in levels[::-1]], 1), rtol=1e-3, atol=2e-3)
    torch.testing.assert_close(scores, torch.cat([level[1] for level in levels[::-1]], 1), rtol=1e-3, atol=1e-5)
    assert scores.std() > 0.01


def test_outputs_come_right_after_their_level() -> None:
    names = [step.name for step in darknet_order(NETWORKS["yolov4-tiny-3l"][1])]
    assert names[-9:] == [
        "neck.narrow.conv",
        "neck.outputs.2.conv",
        "head.outputs.2",
        "neck.laterals.1.conv",
        "neck.outputs.1.conv",
        "head.outputs.1",
        "neck.laterals.0.conv",
        "neck.outputs.0.conv",
        "head.outputs.0",
    ]


@pytest.mark.parametrize("version", [(0, 1), (0, 2), (1, 0)])
def test_both_headers_are_read_with_and_without_a_cfg(tmp_path: Path, version: tuple[int, int]) -> None:
    path, config, _, numbers = _written(tmp_path, "yolov4-tiny", with_cfg=False)
    write_weights(path, numbers, version=version)
    tensors = read_darknet(path, config.build())
    assert tensors["backbone.stem.0.norm.bias"].tolist() == numbers[:4].tolist()
    assert tensors["backbone.stem.0.norm.weight"].tolist() == numbers[4:8].tolist()
    assert tensors["backbone.stem.0.norm.running_mean"].tolist() == numbers[8:12].tolist()
    assert tensors["backbone.stem.0.norm.running_var"].tolist() == numbers[12:16].tolist()
    assert tensors["backbone.stem.0.conv.weight"].flatten().tolist() == numbers[16 : 16 + 108].tolist()
    assert tensors["head.outputs.0.weight"].flatten().tolist() == numbers[-16 * 21 :].tolist()
    assert tensors["head.outputs.0.bias"].tolist() == numbers[-17 * 21 : -16 * 21].tolist()


def test_a_cfg_says_for_how_many_classes_the_file_is(tmp_path: Path) -> None:
    path, config, _, _ = _written(tmp_path, "yolov3-tiny", classes=5)
    assert read_darknet(path, config.build())["head.outputs.1.weight"].shape == (30, 32, 1, 1)
    path.with_suffix(".cfg").unlink()
    with pytest.raises(ModelError, match=r"small with 2 classes has .*: 450 too many; .*\(a \.cfg beside it says"):
        read_darknet(path, config.build())


@pytest.mark.parametrize("change", [-4, 4, -4000])
def test_files_of_another_length_are_refused_with_both_counts(tmp_path: Path, change: int) -> None:
    path, config, _, numbers = _written(tmp_path, "yolo-fastest")
    content = path.read_bytes()
    path.write_bytes(content[:change] if change < 0 else content + b"\0" * change)
    found, expected = f"{len(numbers) + change // 4:,}", f"{len(numbers):,}"
    with pytest.raises(ModelError, match=rf"net\.weights: {found} numbers .* small with 2 classes has {expected}: "):
        read_darknet(path, config.build())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no darknet file: it has 0 bytes"),
        (b"PK\x03\x04" + b"\xff" * 60, r"is no darknet file: its header says version 67324752\.-1"),
        (struct.pack("<3iq", 0, 2, 5, 64) + b"\0" * 7, "is cut off: 7 bytes follow the header, no multiple of four"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.weights"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words):
        read_darknet(path, NETWORKS["yolov4-tiny"][1].build())


def test_a_missing_file_and_a_head_that_darknet_lacks(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.weights: no such weights file"):
        read_darknet(tmp_path / "none.weights", NETWORKS["yolov4-tiny"][1].build())
    for name in ("nanodet-debug", "yolov7-tiny-debug"):
        with pytest.raises(ModelError, match=f"YOLO heads without .*; {name} has another head"):
            read_darknet(tmp_path / "none.weights", zoo.config(name, CLASSES).build())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_numbers_that_cannot_be_are_refused(tmp_path: Path, bad: float) -> None:
    path, config, _, numbers = _written(tmp_path, "yolov4-tiny")
    numbers[12] = bad  # a variance of the first convolution
    write_weights(path, numbers)
    with pytest.raises(ModelError, match=r"the numbers for backbone\.stem\.0\.conv are not finite or give a negative"):
        read_darknet(path, config.build())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "filters = 16",
            "filters = 17",
            r"layer 10, backbone\.stride8\.first\.conv in .* has filters 17, 16 is expected",
        ),
        ("stride = 2\n", "stride = 1\n", r"layer 0, backbone\.stem\.0\.conv in .* has stride 1, 2 is expected"),
        ("size = 1", "size = 3", r"layer 7, backbone\.stride4\.transition\.conv in .* has size 3, 1 is expected"),
        ("batch_normalize = 1", "batch_normalize = 0", r"layer 0, .* has batch_normalize 0, 1 is expected"),
        ("filters = 8\n", "filters = 8\ngroups = 2\n", r"layer 1, .* has groups 2, 1 is expected"),
        (
            "10,14,",
            "10,14,9,9,",
            r"layer 30 has anchors 37,58 81,82 135,169, level 1 of small has 81,82 135,169 344,319",
        ),
        (
            "scale_x_y = 1.05",
            "scale_x_y = 1.2",
            r"layer 30 has scale_x_y 1\.2, level 1 of small has 1\.05; boxes would",
        ),
    ],
)
def test_a_cfg_that_differs_names_the_layer(tmp_path: Path, old: str, new: str, words: str) -> None:
    path, config, _, _ = _written(tmp_path, "yolov4-tiny")
    cfg = path.with_suffix(".cfg")
    text = cfg.read_text()
    assert old in text
    cfg.write_text(text.replace(old, new, 1))
    with pytest.raises(ModelError, match=words):
        read_darknet(path, config.build())


def test_a_cfg_of_another_depth_is_refused(tmp_path: Path) -> None:
    path, config, sections, _ = _written(tmp_path, "yolov4-tiny")
    cfg = path.with_suffix(".cfg")
    cfg.write_text(cfg_text([*sections, ("convolutional", {"filters": "3"})]))
    with pytest.raises(ModelError, match="it has 22 convolutions, the model 21"):
        read_darknet(path, config.build())
    cfg.write_text(cfg_text([*sections, sections[-1]]))
    with pytest.raises(ModelError, match=r"it has 3 \[yolo\] layers, the model 2 levels"):
        read_darknet(path, config.build())
