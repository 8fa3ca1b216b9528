from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models import zoo
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.network import DetectorNetwork
from sanderling.models.weights.folded_batchnorm import folded_norms
from sanderling.models.weights.ncnn_file import NcnnConvolution, read_ncnn
from sanderling.models.weights.ncnn_nanodet import from_ncnn
from tests.support.ncnn_files import folded, write_ncnn
from tests.support.networks import normal_network


def _read(network: DetectorNetwork, tmp_path: Path) -> list[NcnnConvolution]:
    return read_ncnn(write_ncnn(tmp_path / "net.param", folded(network), half=False))


def test_a_folded_file_gives_the_same_predictions(tmp_path: Path) -> None:
    network = normal_network("nanodet-debug", ("a", "b"))
    found = zoo.config("nanodet-debug", ("a", "b")).build().eval()
    assert found.load_state_dict(from_ncnn(_read(network, tmp_path), found, source="net.param")) is not None
    assert len(folded_norms(found)) == len([name for name in found.state_dict() if name.endswith("running_mean")])
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    ours, theirs = found(images), network(images)
    torch.testing.assert_close(ours.class_logits, theirs.class_logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.box_logits, theirs.box_logits, rtol=1e-4, atol=1e-4)


def test_other_class_counts_are_read_and_what_never_runs_is_zero(tmp_path: Path) -> None:
    theirs = normal_network("nanodet-m", ("a",))
    found = from_ncnn(_read(theirs, tmp_path), zoo.config("nanodet-m").build(), source="net.param")
    assert found["head.gfl_cls.0.weight"].shape == (1 + 32, 96, 1, 1)
    assert set(found) == set(theirs.state_dict())
    assert not any(tensor.any() for name, tensor in found.items() if name.startswith("head.gfl_reg."))


def test_other_models_are_refused(tmp_path: Path) -> None:
    convolutions = _read(normal_network("nanodet-debug"), tmp_path)
    with pytest.raises(ModelError, match=r"net\.param: is no nanodet-m: it has \d+ convolutions, 73 are expected"):
        from_ncnn(convolutions, zoo.config("nanodet-m").build(), source="net.param")
    network = zoo.config("nanodet-debug").build()
    damaged = NcnnConvolution(name="Conv_1", weight=convolutions[1].weight, bias=None, stride=(2, 2), groups=1)
    with pytest.raises(
        ModelError,
        match=r"is no nanodet-debug: its 'Conv_1' is a convolution 16x1x3x3, stride 2x2, 1 groups, "
        r"backbone\.stage2\.0\.branch1\.0 is one 16x1x3x3, stride 2x2, 16 groups",
    ):
        from_ncnn([convolutions[0], damaged, *convolutions[2:]], network, source="net.param")
    last = convolutions[-1]
    boxes_only = NcnnConvolution(name="out", weight=last.weight[:32], bias=None, stride=(1, 1), groups=1)
    with pytest.raises(ModelError, match=r"its 'out' is a convolution 32x48x1x1"):
        from_ncnn([*convolutions[:-1], boxes_only], network, source="net.param")


def test_only_nanodets_heads_are_read() -> None:
    other = dataclasses.replace(zoo.config("nanodet-debug", ("a",)), head=YoloHeadConfig()).build()
    with pytest.raises(ModelError, match=r"read for NanoDet only; 'nanodet-debug' has a yolo head"):
        from_ncnn([], other, source="net.param")
