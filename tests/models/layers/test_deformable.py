from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sanderling.models.layers.deformable import DeformableConv


def _value(plane: Tensor, y: float, x: float) -> float:
    """Between four cells; what lies outside is 0."""
    top, left = int(y // 1), int(x // 1)
    found = 0.0
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                found += (1 - abs(y - row)) * (1 - abs(x - column)) * float(plane[row, column])
    return found


def _by_hand(layer: DeformableConv, x: Tensor, stride: int) -> Tensor:
    """Place by place: channel 2k of the side convolution moves place k down, 2k + 1 to the right, 18 + k weighs it."""
    side = layer.offset(x)[0]
    rows, columns = side.shape[1:]
    found = torch.zeros(layer.weight.shape[0], rows, columns)
    for row in range(rows):
        for column in range(columns):
            for place in range(9):
                down, right = divmod(place, 3)
                y = row * stride - 1 + down + float(side[2 * place, row, column])
                z = column * stride - 1 + right + float(side[2 * place + 1, row, column])
                share = float(side[18 + place, row, column].sigmoid()) if len(side) == 27 else 1.0
                seen = torch.tensor([_value(plane, y, z) for plane in x[0]])
                found[:, row, column] += share * layer.weight[:, :, down, right] @ seen
    return found[None]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("version", [1, 2])
def test_places_are_moved_and_weighed(version: Literal[1, 2], stride: int) -> None:
    torch.manual_seed(0)
    layer = DeformableConv(2, 3, stride=stride, version=version)
    torch.nn.init.normal_(layer.offset.weight, std=0.3)
    assert layer.offset.bias is not None
    torch.nn.init.normal_(layer.offset.bias, std=0.7)
    x = torch.randn(1, 2, 5, 7)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), _by_hand(layer, x, stride), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("version", "strength", "side"), [(1, 1.0, 18), (2, 0.5, 27)])
def test_it_starts_as_an_ordinary_convolution(version: Literal[1, 2], strength: float, side: int) -> None:
    layer = DeformableConv(4, 6, stride=2, version=version)
    assert layer.offset.out_channels == side
    x = torch.randn(2, 4, 9, 6)
    found = layer(x)
    assert found.shape == (2, 6, 5, 3)
    torch.testing.assert_close(found, strength * F.conv2d(x, layer.weight, stride=2, padding=1))


def test_everything_learns_from_the_first_step() -> None:
    layer = DeformableConv(4, 6)
    layer(torch.randn(2, 4, 7, 5)).square().sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


def test_under_autocast_it_stays_in_its_own_precision() -> None:
    torch.manual_seed(0)
    layer = DeformableConv(4, 6)
    torch.nn.init.normal_(layer.offset.weight, std=0.1)
    x = torch.randn(1, 4, 7, 5)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x.bfloat16())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, layer(x), rtol=0.05, atol=0.05)


def test_version_1_is_exported_too(tmp_path: Path) -> None:
    import onnxruntime

    layer = DeformableConv(4, 6, stride=2, version=1).eval()
    torch.nn.init.normal_(layer.offset.weight, std=0.3)
    x = torch.randn(1, 4, 7, 10)
    program = torch.onnx.export(layer, (x,), dynamo=True, opset_version=20, verbose=False)
    assert program is not None
    program.save(tmp_path / "layer.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "layer.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), layer(x).detach(), rtol=1e-4, atol=1e-5)
