from __future__ import annotations

import pytest
import torch

from sanderling.models import zoo
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.layers.darknet_block import DarknetBlock
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.entry import ZooEntry
from sanderling.models.zoo.yolor import ENTRIES, yolor_csp_debug, yolor_v3_debug
from sanderling.objectives.anchor_ratio import YOLOR
from sanderling.recipes.teaching import objective_of

CLASSES = ("a", "b")


def _blocks(config: DetectorConfig) -> list[DarknetBlock]:
    with torch.device("meta"):
        backbone = config.build().backbone
    return [module for module in backbone.modules() if isinstance(module, DarknetBlock)]


def test_prn_adds_half_of_the_channels_in_each_of_the_23_blocks() -> None:
    plain, partial = (_blocks(zoo.config(name)) for name in ("yolor-v3-spp", "yolor-prn"))
    assert len(plain) == len(partial) == 23
    assert [2 * block.added for block in partial] == [block.added for block in plain]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            yolor_v3_debug(CLASSES, name="plain"),
            yolor_v3_debug(CLASSES, name="partial", residual_share=0.5),
        ),
        (
            yolor_csp_debug(CLASSES, name="plain", stages="residual"),
            yolor_csp_debug(CLASSES, name="csp", stages="csp"),
        ),
    ],
    ids=["partial residual", "csp"],
)
def test_debug_sizes_that_are_compared_differ_in_their_stages_only(
    first: DetectorConfig, second: DetectorConfig
) -> None:
    assert first.backbone != second.backbone
    for part in ("neck", "head", "picture", "normalisation", "postprocess"):
        assert getattr(first, part) == getattr(second, part)
    with torch.device("meta"):
        assert first.build().backbone.features == second.build().backbone.features
    assert len(_blocks(first)) == len(_blocks(second))


@pytest.mark.parametrize(
    ("name", "convolutions"),
    [
        # Sheet on gradient paths, section 2.8.
        ("yolor-v3", 75),
        ("yolor-v3-spp", 76),
        ("yolor-csp", 115),
        ("yolor-csp-fusion-first", 111),
        ("yolor-csp-fusion-last", 111),
        ("yolor-csp-no-fusion", 107),
        ("yolor-elan-1-1", 92),
        ("yolor-elan-2-2", 92),
    ],
)
def test_the_number_of_convolutions_is_that_of_the_sheet(name: str, convolutions: int) -> None:
    with torch.device("meta"):
        network = zoo.config(name, CLASSES).build()
    assert sum(isinstance(module, torch.nn.Conv2d) for module in network.modules()) == convolutions


def test_the_head_reads_boxes_as_yolor_does_and_knows_something_implicit() -> None:
    head = zoo.config("yolor-csp").head
    assert isinstance(head, YoloHeadConfig)
    assert (head.kind, head.scale_xy, head.size, head.implicit) == ("yolo", 2.0, "sigmoid_squared", True)
    with torch.device("meta"):
        network = zoo.config("yolor-csp").build()
    implicit = sum(p.numel() for name, p in network.named_parameters() if "implicit" in name)
    assert implicit == 2557


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_whole_family_is_taught_as_yolor_is(entry: ZooEntry) -> None:
    assert objective_of(zoo.config(entry.name)) == YOLOR
