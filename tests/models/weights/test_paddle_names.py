from __future__ import annotations

import dataclasses
import logging

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models import zoo
from sanderling.models.backbones.resnet import ResNetConfig
from sanderling.models.necks.ppyolo_fpn import PpyoloFpnConfig
from sanderling.models.network import DetectorNetwork
from sanderling.models.weights.paddle_names import from_paddle, paddle_names


def _network(name: str) -> DetectorNetwork:
    with torch.device("meta"):
        return zoo.config(name, ("a", "b")).build()


@pytest.mark.parametrize(
    ("model", "pairs"),
    [
        (
            "yolov3-mobilenetv1",
            {
                "backbone.stem.conv.weight": "backbone.conv1._conv.weight",
                "backbone.blocks.0.depthwise.weight": "backbone.conv2_1._depthwise_conv._conv.weight",
                "backbone.blocks.3.pwnorm.running_var": "backbone.conv3_2._pointwise_conv._batch_norm._variance",
                "backbone.blocks.11.pointwise.weight": "backbone.conv5_6._pointwise_conv._conv.weight",
                "backbone.blocks.12.dwnorm.bias": "backbone.conv6._depthwise_conv._batch_norm.bias",
                "neck.blocks.0.route.0.conv.weight": "neck.yolo_block.0.conv_module.conv0.conv.weight",
                "neck.blocks.2.route.4.norm.running_mean": "neck.yolo_block.2.conv_module.route.batch_norm._mean",
                "neck.blocks.1.tip.norm.weight": "neck.yolo_block.1.tip.batch_norm.weight",
                "neck.transitions.1.conv.weight": "neck.yolo_transition.1.conv.weight",
                "head.outputs.0.bias": "yolo_head.yolo_output.2.bias",
                "head.outputs.2.weight": "yolo_head.yolo_output.0.weight",
            },
        ),
        (
            "yolov3-resnet34",
            {
                "backbone.conv1.weight": "backbone.conv1.conv1.conv.weight",
                "backbone.bn1.bias": "backbone.conv1.conv1.norm.bias",
                "backbone.layer1.0.downsample.0.weight": "backbone.res2.res2a.short.conv.weight",
                "backbone.layer2.0.downsample.1.running_mean": "backbone.res3.res3a.short.norm._mean",
                "backbone.layer3.5.conv2.weight": "backbone.res4.res4f.branch2b.conv.weight",
            },
        ),
        (
            "ppyolo-r50vd-dcn",
            {
                "backbone.conv1.3.weight": "backbone.conv1.conv1_2.conv.weight",
                "backbone.bn1.weight": "backbone.conv1.conv1_3.norm.weight",
                "backbone.layer1.0.downsample.1.weight": "backbone.res2.res2a.short.conv.weight",
                "backbone.layer2.0.downsample.1.weight": "backbone.res3.res3a.short.conv.conv.weight",
                "backbone.layer3.5.bn3.running_var": "backbone.res4.res4f.branch2c.norm._variance",
                "backbone.layer4.1.conv2.weight": "backbone.res5.res5b.branch2b.conv.conv_dcn.weight",
                "backbone.layer4.1.conv2.offset.bias": "backbone.res5.res5b.branch2b.conv.conv_offset.bias",
                "neck.blocks.0.route.0.block.conv.weight": "neck.yolo_block.0.conv_module.conv0.conv.conv.weight",
                "neck.blocks.0.route.1.conv.weight": "neck.yolo_block.0.conv_module.conv1.conv.weight",
                # The coarsest block: pooling behind the third convolution, DropBlock behind the fourth.
                "neck.blocks.0.route.3.1.conv.weight": "neck.yolo_block.0.conv_module.spp.conv.conv.weight",
                "neck.blocks.0.route.4.norm.bias": "neck.yolo_block.0.conv_module.conv3.batch_norm.bias",
                "neck.blocks.0.route.6.block.norm.bias": "neck.yolo_block.0.conv_module.route.conv.batch_norm.bias",
                # A finer one: DropBlock behind the second.
                "neck.blocks.1.route.3.block.norm.bias": "neck.yolo_block.1.conv_module.conv2.conv.batch_norm.bias",
                "neck.blocks.1.tip.block.conv.weight": "neck.yolo_block.1.tip.conv.conv.weight",
            },
        ),
    ],
)
def test_names_are_those_of_their_modules(model: str, pairs: dict[str, str]) -> None:
    network = _network(model)
    names = paddle_names(network)
    assert {ours: names[ours] for ours in pairs} == pairs
    counters = {name for name in network.state_dict() if name.endswith("num_batches_tracked")}
    assert names.keys() == network.state_dict().keys() - counters
    assert len(set(names.values())) == len(names)


def test_a_very_long_stage_has_numbers_instead_of_letters() -> None:
    config = zoo.config("yolov3-resnet50vd-dcn", ("a",))
    backbone = ResNetConfig(depth=101, variant="d", deformable=(32,))
    with torch.device("meta"):
        names = paddle_names(dataclasses.replace(config, backbone=backbone).build())
    assert names["backbone.layer3.0.conv1.weight"] == "backbone.res4.res4a.branch2a.conv.weight"
    assert names["backbone.layer3.22.conv1.weight"] == "backbone.res4.res4b22.branch2a.conv.weight"
    assert names["backbone.layer4.2.conv1.weight"] == "backbone.res5.res5c.branch2a.conv.weight"


def test_tensors_change_their_names_and_others_keep_theirs() -> None:
    network = _network("yolov3-debug")
    tensors = {theirs: torch.tensor(float(number)) for number, theirs in enumerate(paddle_names(network).values())}
    found = from_paddle({**tensors, "ema.decay": torch.zeros(1)}, network, source="x.pdparams")
    assert set(found) == {*paddle_names(network), "ema.decay"}
    assert [float(found[ours]) for ours in paddle_names(network)] == list(range(len(tensors)))


def test_another_numbering_of_columns_is_said(caplog: pytest.LogCaptureFixture) -> None:
    config = zoo.config("ppyolo-debug", ("a",))
    assert isinstance(config.neck, PpyoloFpnConfig)
    for neck, said in ((config.neck, True), (dataclasses.replace(config.neck, coordinates="left"), False)):
        caplog.clear()
        network = dataclasses.replace(config, neck=neck).build()
        with caplog.at_level(logging.WARNING):
            from_paddle({}, network, source="x.pdparams")
        assert ("neck.coordinates = 'left'" in caplog.text) == said


def test_other_networks_are_refused() -> None:
    with pytest.raises(ModelError, match=r"x\.pdparams: PaddleDetection's names are known .* 'nanodet-debug' has"):
        from_paddle({}, _network("nanodet-debug"), source="x.pdparams")
