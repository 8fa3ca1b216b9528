from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from sanderling import config
from sanderling.errors import ModelError, UsageError
from sanderling.models import zoo
from sanderling.models.backbones.repvgg import RepVggConfig
from sanderling.models.network import DetectorConfig, DetectorNetwork, Normalisation
from sanderling.structures.predictions import Predictions

CLASSES = ("fire", "smoke", "crane")


def _network(seed: int = 0) -> DetectorNetwork:
    torch.manual_seed(seed)
    return zoo.config("nanodet-debug", CLASSES).build()


def _images(batch: int, size_hw: tuple[int, int]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, 3, *size_hw), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", zoo.names())
def test_config_survives_as_plain_values(name: str) -> None:
    chosen = zoo.config(name, CLASSES)
    read = config.parse(DetectorConfig, json.loads(json.dumps(config.plain(chosen))))
    assert read == chosen
    assert hash(read) == hash(chosen)


def test_config_survives_yaml_and_builds_the_same() -> None:
    chosen = zoo.config("yolor-elan-1-1", CLASSES)
    read = config.parse(DetectorConfig, config.load_yaml(config.dump(chosen), source="test"))
    assert read == chosen
    with torch.device("meta"):
        first, second = chosen.build().state_dict(), read.build().state_dict()
    assert {key: value.shape for key, value in first.items()} == {key: value.shape for key, value in second.items()}


def test_a_mistyped_key_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"head\.depht.*depth"):
        config.override(zoo.config("nanodet-debug"), ["head.depht=3"])


@pytest.mark.parametrize("size_hw", [(64, 96), (160, 32)])
def test_train_and_eval_give_the_same_type_and_shapes(size_hw: tuple[int, int]) -> None:
    network = _network()
    for found in (network.train()(_images(2, size_hw)), network.eval()(_images(2, size_hw))):
        assert isinstance(found, Predictions)
        points = sum(size_hw[0] // stride * (size_hw[1] // stride) for stride in (8, 16, 32))
        assert found.class_logits.shape == (2, points, 3)
        assert found.box_logits.shape == (2, points, 32)
        assert found.priors_cxcywh.shape == (points, 4)
        assert found.size_hw == size_hw


def test_a_batch_of_two_is_two_of_one() -> None:
    network, images = _network().eval(), _images(2, (96, 160))
    together = network(images)
    for picture in (0, 1):
        alone = network(images[picture : picture + 1])
        torch.testing.assert_close(alone.class_logits[0], together.class_logits[picture], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(alone.box_logits[0], together.box_logits[picture], rtol=1e-5, atol=1e-5)


def test_forward_is_predict_of_features() -> None:
    network, images = _network().eval(), _images(1, (64, 96))
    assert torch.equal(network(images).class_logits, network.predict(network.features(images)).class_logits)


def test_uint8_and_float_pictures_in_either_layout_agree() -> None:
    network, images = _network().eval(), _images(1, (64, 96))
    expected = network(images).class_logits
    assert torch.equal(network(images.float()).class_logits, expected)
    fast = network(images.contiguous(memory_format=torch.channels_last)).class_logits
    torch.testing.assert_close(fast, expected, rtol=1e-5, atol=1e-5)


def test_normalisation_is_mean_and_deviation_per_channel() -> None:
    chosen = dataclasses.replace(
        zoo.config("nanodet-debug", CLASSES), normalisation=Normalisation(mean=(10, 20, 30), std=(1, 2, 4))
    )
    network = chosen.build()
    seen: list[torch.Tensor] = []
    network.backbone.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    images = _images(2, (32, 64))
    for layout in (torch.contiguous_format, torch.channels_last):
        network(images.contiguous(memory_format=layout))
    expected = (images.float() - torch.tensor([10.0, 20, 30]).view(1, 3, 1, 1)) / torch.tensor([1.0, 2, 4]).view(
        1, 3, 1, 1
    )
    assert len(seen) == 2
    for found in seen:
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("size_hw", [(48, 64), (64, 33), (0, 32)])
def test_sizes_that_the_stride_does_not_divide_are_refused(size_hw: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match=rf"{size_hw[0]}x{size_hw[1]}.*stride 32; use for example \d+x\d+"):
        _network()(torch.zeros(1, 3, *size_hw))


def test_levels_that_a_neck_adds_ask_nothing_of_the_size() -> None:
    network = zoo.config("nanodet-plus-debug", CLASSES).build().eval()
    assert network.stride == 32
    assert max(network.neck.features.strides) == 64
    found = network(_images(1, (96, 160)))
    assert found.class_logits.shape[1] == 12 * 20 + 6 * 10 + 3 * 5 + 2 * 3


def test_the_merged_detector_is_the_same_but_for_its_branches() -> None:
    plain = zoo.config("nanodet-debug", CLASSES)
    assert plain.merged() == plain
    branched = zoo.config("nanodet-repvgg-a0", CLASSES)
    merged = branched.merged()
    assert isinstance(branched.backbone, RepVggConfig)
    assert merged.backbone == dataclasses.replace(branched.backbone, deployed=True)
    assert dataclasses.replace(merged, backbone=branched.backbone) == branched
    assert merged.merged() == merged


def test_build_refuses_no_classes_and_a_wrong_picture_size() -> None:
    with pytest.raises(ModelError, match="class_names is empty"):
        zoo.config("nanodet-debug", ()).build()
    with pytest.raises(ModelError, match="100x64"):
        zoo.config("nanodet-debug", CLASSES).with_picture(size_hw=(100, 64)).build()


def test_with_classes_and_with_picture_change_only_that() -> None:
    chosen = zoo.config("nanodet-debug", CLASSES)
    other = chosen.with_classes(["kite"]).with_picture(size_hw=(64, 96), resize="stretch")
    assert other.class_names == ("kite",)
    assert (other.picture.size_hw, other.picture.resize) == ((64, 96), "stretch")
    assert (other.backbone, other.neck, other.head) == (chosen.backbone, chosen.neck, chosen.head)


def test_the_picture_is_not_changed() -> None:
    images = _images(1, (32, 64)).float()
    before = images.clone()
    _network()(images)
    assert torch.equal(images, before)
