from __future__ import annotations

import pytest
import torch

from sanderling.models.layers.activations import Activation, activation


@pytest.mark.parametrize(
    ("name", "expected"), [("relu", [0.0, 3.0, 9.0]), ("relu6", [0.0, 3.0, 6.0]), ("leaky_relu", [-0.2, 3.0, 9.0])]
)
def test_values(name: Activation, expected: list[float]) -> None:
    assert activation(name)(torch.tensor([-2.0, 3.0, 9.0])).tolist() == pytest.approx(expected)


def test_each_call_makes_its_own_module() -> None:
    assert activation("relu") is not activation("relu")
