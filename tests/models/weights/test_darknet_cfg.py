from __future__ import annotations

from pathlib import Path

import pytest

from sanderling.errors import ModelError
from sanderling.models.weights.darknet_cfg import CfgConvolution, CfgYolo, read_cfg

TEXT = """# a comment
[net]
width = 320 ; and another
[convolutional]
batch_normalize=1
filters = 8
size=3
stride=2
activation=leaky

[maxpool]
size=2
[convolutional]
filters=21
groups=3   # of three
[yolo]
mask = 1, 2
anchors = 10,14, 23.5,27,  37,58
classes=2
scale_x_y = 1.05
[yolo]
anchors = 1,2
"""


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "a.cfg"
    path.write_text(text)
    return path


def test_convolutions_and_outputs_are_read_with_the_numbers_of_their_layers(tmp_path: Path) -> None:
    cfg = read_cfg(_file(tmp_path, TEXT))
    assert cfg.convolutions == (
        CfgConvolution(layer=0, filters=8, size=3, stride=2, groups=1, batch_normalize=True),
        CfgConvolution(layer=2, filters=21, size=1, stride=1, groups=3, batch_normalize=False),
    )
    assert cfg.yolos == (
        CfgYolo(layer=3, classes=2, anchors=((23.5, 27), (37, 58)), scale_xy=1.05),
        CfgYolo(layer=4, classes=20, anchors=((1, 2),), scale_xy=1.0),
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("filters = 8", "filters", r"a\.cfg: line 6 is 'filters'; a \[section\] or key=value inside one is expected"),
        ("[net]", "width=3", r"line 2 is 'width=3'; a \[section\] or key=value"),
        ("filters = 8", "filters = many", "layer 0: filters = 'many'; a whole number is expected"),
        ("23.5", "x", "layer 3: anchors = '10,14, x,27,  37,58'; numbers are expected"),
        ("mask = 1, 2", "mask = 1, inf", "layer 3: mask = '1, inf'; numbers are expected"),
        ("mask = 1, 2", "mask = nan", "layer 3: mask = 'nan'; numbers are expected"),
        ("classes=2", "classes=0", "layer 3: classes = 0; 1 to 10000 are expected"),
        ("classes=2", "classes=4000000000", "layer 3: classes = 4000000000; 1 to 10000 are expected"),
        ("mask = 1, 2", "mask = 1, 3", r"layer 3: mask \[1, 3\] does not fit 6 numbers of anchors"),
        ("23.5,27,", "23.5,", r"layer 3: mask \[1, 2\] does not fit 5 numbers of anchors"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in TEXT
    with pytest.raises(ModelError, match=words):
        read_cfg(_file(tmp_path, TEXT.replace(old, new, 1)))


def test_networks_without_boxes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no \[yolo\] section"):
        read_cfg(_file(tmp_path, TEXT.partition("[yolo]")[0]))
