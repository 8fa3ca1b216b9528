"""PaddleDetection's names (release 2.x) for the parts of YOLOv3 and PP-YOLO.

https://github.com/PaddlePaddle/PaddleDetection, ppdet/modeling. Their modules stand from coarse to fine, as ours do,
but for the outputs of the head, which we keep finest first. Networks are RGB there too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.backbones.mobilenet_v1 import MobileNetV1
from sanderling.models.backbones.resnet import ResNet
from sanderling.models.heads.yolo import YoloHead
from sanderling.models.layers.coord_conv import CoordConv
from sanderling.models.layers.deformable import DeformableConv
from sanderling.models.layers.drop_block import DropBlock
from sanderling.models.necks.ppyolo_fpn import PpyoloFpn, PpyoloFpnConfig
from sanderling.models.necks.yolov3_fpn import Yolov3Fpn
from sanderling.models.network import DetectorNetwork

logger = logging.getLogger(__name__)

_LEAVES = {"running_mean": "_mean", "running_var": "_variance"}
_LONG_STAGE = 10
_MOBILENET_V1 = ("2_1", "2_2", "3_1", "3_2", "4_1", "4_2", "5_1", "5_2", "5_3", "5_4", "5_5", "5_6", "6")

Pairs = Iterator[tuple[str, str]]
"""Our name of a module with weights of its own, and theirs."""


def from_paddle(tensors: Mapping[str, Tensor], network: DetectorNetwork, *, source: str) -> dict[str, Tensor]:
    """The tensors of a file under our names; those without a place keep theirs.

    Raises:
        ModelError: names are known for the parts of YOLOv3 and PP-YOLO only.
    """
    names = {theirs: ours for ours, theirs in paddle_names(network, source=source).items()}
    neck = network.config.neck
    if isinstance(neck, PpyoloFpnConfig) and neck.coordinates == "symmetric":
        logger.warning(
            "%s: later releases of PaddleDetection 2.x number columns and rows from -1 to -0.5; their weights want "
            "neck.coordinates = 'left', %r has 'symmetric'",
            *(source, network.config.name),
        )
    return {names.get(theirs, theirs): tensor for theirs, tensor in tensors.items()}


def paddle_names(network: DetectorNetwork, *, source: str = "names") -> dict[str, str]:
    """Their name for every tensor of a network but BatchNorm's step counters.

    Raises:
        ModelError: a part of the network is not among those whose names are known.

    >>> from sanderling.models import zoo
    >>> paddle_names(zoo.config("yolov3-mobilenetv1").build())["backbone.stem.norm.running_mean"]
    'backbone.conv1._batch_norm._mean'
    """
    modules = dict(_modules(network, source))
    names = {}
    for ours in network.state_dict():
        module, _, leaf = ours.rpartition(".")
        if leaf != "num_batches_tracked":
            names[ours] = f"{modules[module]}.{_LEAVES.get(leaf, leaf)}"
    return names


def _modules(network: DetectorNetwork, source: str) -> Pairs:
    backbone, neck, head = network.backbone, network.neck, network.head
    if isinstance(backbone, MobileNetV1):
        yield from _mobilenet_v1(backbone)
    elif isinstance(backbone, ResNet):
        yield from _resnet(backbone, variant_d=getattr(network.config.backbone, "variant", "") == "d")
    if isinstance(neck, Yolov3Fpn | PpyoloFpn):
        yield from _fpn(neck)
    if isinstance(head, YoloHead):
        levels = len(head.outputs)
        yield from ((f"head.outputs.{level}", f"yolo_head.yolo_output.{levels - 1 - level}") for level in range(levels))
    known = (
        isinstance(backbone, MobileNetV1 | ResNet)
        and isinstance(neck, Yolov3Fpn | PpyoloFpn)
        and isinstance(head, YoloHead)
    )
    if not known:
        config = network.config
        raise ModelError(
            f"{source}: PaddleDetection's names are known for the backbones mobilenet_v1 and resnet, the necks "
            f"yolov3_fpn and ppyolo_fpn and the head yolo; {config.name!r} has {config.backbone.kind}, "
            f"{config.neck.kind} and {config.head.kind}"
        )


def _mobilenet_v1(backbone: MobileNetV1) -> Pairs:
    yield from _block("backbone.stem", "backbone.conv1", conv="_conv", norm="_batch_norm")
    for number, theirs in zip(range(len(backbone.blocks)), _MOBILENET_V1, strict=False):
        ours = f"backbone.blocks.{number}"
        for conv, norm in (("depthwise", "dwnorm"), ("pointwise", "pwnorm")):
            yield f"{ours}.{conv}", f"backbone.conv{theirs}._{conv}_conv._conv"
            yield f"{ours}.{norm}", f"backbone.conv{theirs}._{conv}_conv._batch_norm"


def _resnet(backbone: ResNet, *, variant_d: bool) -> Pairs:
    if isinstance(backbone.conv1, nn.Sequential):
        # Three convolutions, the last of which has its BatchNorm outside.
        for number, (conv, norm) in enumerate((("conv1.0", "conv1.1"), ("conv1.3", "conv1.4"), ("conv1.6", "bn1")), 1):
            yield f"backbone.{conv}", f"backbone.conv1.conv1_{number}.conv"
            yield f"backbone.{norm}", f"backbone.conv1.conv1_{number}.norm"
    else:
        yield "backbone.conv1", "backbone.conv1.conv1.conv"
        yield "backbone.bn1", "backbone.conv1.conv1.norm"
    for stage in range(1, len(backbone.strides) + 1):
        blocks = backbone.get_submodule(f"layer{stage}")
        count = sum(1 for _ in blocks.children())
        for number, block in enumerate(blocks.children()):
            ours = f"backbone.layer{stage}.{number}"
            theirs = f"backbone.res{stage + 1}.{_block_name(stage + 1, number, count)}"
            yield from _resnet_block(block, ours, theirs, pooled=variant_d and stage > 1)


def _resnet_block(block: nn.Module, ours: str, theirs: str, *, pooled: bool) -> Pairs:
    for number, letter in enumerate("abc", start=1):
        conv = getattr(block, f"conv{number}", None)
        if isinstance(conv, DeformableConv):
            yield f"{ours}.conv{number}", f"{theirs}.branch2{letter}.conv.conv_dcn"
            yield f"{ours}.conv{number}.offset", f"{theirs}.branch2{letter}.conv.conv_offset"
        elif conv is not None:
            yield f"{ours}.conv{number}", f"{theirs}.branch2{letter}.conv"
        yield f"{ours}.bn{number}", f"{theirs}.branch2{letter}.norm"
    if isinstance(shortcut := getattr(block, "downsample", None), nn.Sequential):
        *_, conv, norm = (name for name, _ in shortcut.named_children())
        inside = "short.conv" if pooled else "short"
        yield f"{ours}.downsample.{conv}", f"{theirs}.{inside}.conv"
        yield f"{ours}.downsample.{norm}", f"{theirs}.{inside}.norm"


def _block_name(stage: int, number: int, count: int) -> str:
    """Letters; in a very long third stage a, b1, b2 ..."""
    if count > _LONG_STAGE and stage == 4:
        return f"res{stage}" + ("a" if number == 0 else f"b{number}")
    return f"res{stage}{chr(ord('a') + number)}"


def _fpn(neck: Yolov3Fpn | PpyoloFpn) -> Pairs:
    for level, block in enumerate(neck.blocks):
        ours, theirs = f"neck.blocks.{level}", f"neck.yolo_block.{level}"
        layers = [(name, layer) for name, layer in block.get_submodule("route").named_children()]
        layers = [(name, layer) for name, layer in layers if not isinstance(layer, DropBlock)]
        convolutions = 0
        for name, layer in layers:
            if isinstance(layer, nn.Sequential):
                yield from _block(f"{ours}.route.{name}.1", f"{theirs}.conv_module.spp.conv")
                continue
            conv = "route" if layer is layers[-1][1] else f"conv{convolutions}"
            convolutions += 1
            yield from _maybe_placed(layer, f"{ours}.route.{name}", f"{theirs}.conv_module.{conv}")
        yield from _maybe_placed(block.get_submodule("tip"), f"{ours}.tip", f"{theirs}.tip")
    for level in range(len(neck.transitions)):
        yield from _block(f"neck.transitions.{level}", f"neck.yolo_transition.{level}")


def _maybe_placed(layer: nn.Module, ours: str, theirs: str) -> Pairs:
    if isinstance(layer, CoordConv):
        yield from _block(f"{ours}.block", f"{theirs}.conv")
    else:
        yield from _block(ours, theirs)


def _block(ours: str, theirs: str, *, conv: str = "conv", norm: str = "batch_norm") -> Pairs:
    yield f"{ours}.conv", f"{theirs}.{conv}"
    yield f"{ours}.norm", f"{theirs}.{norm}"
