from __future__ import annotations

from typing import Any, Literal

import pytest
import torch

from sanderling.analysis.cost import measure_cost
from sanderling.errors import UsageError
from sanderling.models import zoo
from sanderling.models.backbones.efficientnet import EfficientNetConfig
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.inverted_residual import InvertedResidual
from sanderling.models.necks.yoloret import YoloretNeckConfig
from sanderling.models.network import DetectorConfig, NeckRowConfig
from sanderling.models.zoo.yoloret import yoloret_efficientnet, yoloret_mobilenetv2

VOC = tuple(f"class {number}" for number in range(20))
Path = Literal["none", "fpn", "pan", "bifpn"]


@pytest.mark.parametrize(
    ("name", "parameters", "backbone", "gigamacs"),
    [
        ("yoloret-mobilenetv2-0.75", 1_857_075, 776_624, (0.31, 0.63, 1.07)),
        ("yoloret-mobilenetv2-1.4", 3_750_595, 2_587_840, (0.64, 1.30, 2.20)),
        ("yoloret-efficientnet-b3", 7_986_353, 6_819_118, (0.94, 1.92, 3.25)),
    ],
)
def test_counts_for_twenty_classes(name: str, parameters: int, backbone: int, gigamacs: tuple[float, ...]) -> None:
    detector = zoo.config(name, VOC)
    cost = measure_cost(detector)
    assert cost.parameters == parameters
    assert cost.part("backbone").parameters == backbone
    found = [measure_cost(detector, (side, side)).macs / 1e9 for side in (224, 320, 416)]
    assert found == pytest.approx(gigamacs, abs=0.005)


def test_a_neck_that_goes_top_down_only_has_the_file_sizes_of_the_paper() -> None:
    neck = YoloretNeckConfig(path="fpn")
    detectors = [
        yoloret_mobilenetv2(VOC, neck=neck),
        yoloret_mobilenetv2(VOC, width=1.4, neck=neck),
        yoloret_efficientnet(VOC, neck=neck),
    ]
    found = [measure_cost(detector).parameters / 1e6 for detector in detectors]
    assert found == pytest.approx([1.344, 3.238, 7.473], abs=0.0006)


def test_truncation_leaves_out_the_last_block_and_the_last_convolution() -> None:
    whole, cut = (measure_cost(yoloret_mobilenetv2(VOC, truncated=truncated)) for truncated in (False, True))
    block = (120 * 720 + 2 * 720) + (9 * 720 + 2 * 720) + (720 * 240 + 2 * 240)
    last = 240 * 1280 + 2 * 1280
    assert whole.part("backbone").parameters - cut.part("backbone").parameters == block + last


def test_rfcr_adds_itself_and_its_channels_to_the_first_convolutions() -> None:
    plain, with_rfcr = (measure_cost(yoloret_mobilenetv2(VOC, rfcr=rfcr)) for rfcr in (False, True))
    assert with_rfcr.parameters - plain.parameters == 17_620 + 96 * (512 + 256 + 128)


@pytest.mark.parametrize(
    ("path", "repeats"), [("none", 1), ("fpn", 1), ("pan", 1), ("bifpn", 1), ("bifpn", 2), ("bifpn", 3)]
)
@pytest.mark.parametrize("rfcr", [False, True])
def test_every_path_stands_behind_rfcr_or_the_backbone(path: Path, repeats: int, rfcr: bool) -> None:
    neck = YoloretNeckConfig(path=path, repeats=repeats, width=64)
    with torch.device("meta"):
        network = yoloret_mobilenetv2(("a", "b"), rfcr=rfcr, neck=neck).build()
        found = network(torch.zeros(1, 3, 96, 160))
    assert network.neck.features == FeatureSpec((64, 64, 64), (8, 16, 32))
    assert found.class_logits.shape == (1, 3 * (12 * 20 + 6 * 10 + 3 * 5), 2)


def test_the_neck_is_as_wide_as_the_outputs_unless_a_number_is_given() -> None:
    chosen = zoo.config("yoloret-debug", ("a", "b"))
    assert chosen.width_by_classes == "neck.then.width"
    assert _neck_width(chosen) == 3 * (2 + 5)
    assert _neck_width(chosen.with_classes(VOC)) == 75
    number = yoloret_mobilenetv2(("a", "b"), rfcr=False, neck=YoloretNeckConfig(width=96))
    assert number.width_by_classes is None
    assert _neck_width(number) == _neck_width(number.with_classes(VOC)) == 96
    assert yoloret_mobilenetv2(("a",), rfcr=False).width_by_classes == "neck.width"


def _neck_width(detector: DetectorConfig) -> int:
    with torch.device("meta"):
        (width,) = set(detector.build().neck.features.channels)
    return width


def test_sizes_of_efficientnet_and_blocks_that_are_kept() -> None:
    kept = yoloret_efficientnet(VOC, keep=23), yoloret_efficientnet(VOC), yoloret_efficientnet(VOC, truncated=False)
    counts = [measure_cost(detector).part("backbone").parameters for detector in kept]
    assert counts == [5_969_476, 6_819_118, 10_696_232]
    with pytest.raises(UsageError, match="keep = 23 with truncated = False"):
        yoloret_efficientnet(VOC, keep=23, truncated=False)


@pytest.mark.parametrize(("size", "keep"), [("b0", 15), ("b1", 21), ("b2", 21), ("b3", 24)])
def test_truncation_leaves_out_the_last_stage_of_every_size(size: Literal["b0", "b1", "b2", "b3"], keep: int) -> None:
    found = yoloret_efficientnet(VOC, size=size)
    assert isinstance(found.backbone, EfficientNetConfig)
    assert found.backbone.keep == keep
    with torch.device("meta"):
        blocks = [part for part in found.build().backbone.modules() if isinstance(part, InvertedResidual)]
    assert len(blocks) == keep


def test_the_name_tells_what_is_not_as_published() -> None:
    named = {
        yoloret_mobilenetv2(VOC).name: "yoloret-mobilenetv2-0.75",
        yoloret_mobilenetv2(VOC, width=1.0).name: "yoloret-mobilenetv2-1",
        yoloret_mobilenetv2(VOC, truncated=False).name: "yoloret-mobilenetv2-0.75-whole",
        yoloret_mobilenetv2(VOC, rfcr=False).name: "yoloret-mobilenetv2-0.75-plain",
        yoloret_mobilenetv2(VOC, truncated=False, rfcr=False).name: "yoloret-mobilenetv2-0.75-whole-plain",
        yoloret_efficientnet(VOC, neck=YoloretNeckConfig(path="bifpn", repeats=2)).name: (
            "yoloret-efficientnet-b3-bifpn2"
        ),
        yoloret_efficientnet(VOC, keep=23).name: "yoloret-efficientnet-b3-keep23",
    }
    assert all(found == wanted for found, wanted in named.items())
    assert len(named) == 7


@pytest.mark.parametrize(("plain", "outputs"), [("yolov4-tiny", (16, 32)), ("yolov4-tiny-3l", (8, 16, 32))])
def test_rfcr_in_front_of_yolov4_tiny_changes_what_its_neck_reads_and_nothing_else(
    plain: str, outputs: tuple[int, ...]
) -> None:
    before, after = zoo.config(plain, VOC), zoo.config(f"{plain}-rfcr", VOC)
    assert isinstance(after.neck, NeckRowConfig)
    assert (after.neck.then, after.head, after.picture) == (before.neck, before.head, before.picture)
    with torch.device("meta"):
        network: Any = after.build()
        original = before.build()
    assert network.backbone.features == FeatureSpec((64, 128, 256, 512), (4, 8, 16, 32))
    assert network.neck.first.features.strides == original.neck.features.strides == outputs
    widths = [width - 96 for width in network.neck.first.features.channels]
    assert widths == list(original.backbone.features.channels)
    shapes = {key.replace("neck.then.", "neck."): value.shape for key, value in network.state_dict().items()}
    changed = [key for key, value in original.state_dict().items() if shapes[key] != value.shape]
    assert len(changed) == len(outputs)
    assert all(shapes[key][1] == original.state_dict()[key].shape[1] + 96 for key in changed)


def test_every_kind_of_picture_of_the_family_is_scaled_to_one() -> None:
    network = zoo.config("yoloret-debug", VOC).build()
    seen: list[torch.Tensor] = []
    network.backbone.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    network(torch.full((1, 3, 64, 96), 255, dtype=torch.uint8))
    torch.testing.assert_close(seen[0], torch.ones(1, 3, 64, 96))
