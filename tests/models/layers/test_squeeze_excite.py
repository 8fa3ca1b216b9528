from __future__ import annotations

from typing import Any

import pytest
import torch

from sanderling.models.layers.squeeze_excite import Gate, SqueezeExcite


@pytest.mark.parametrize(
    ("gate", "slope"), [("sigmoid", None), ("hard_sigmoid", 1 / 6), ("paddle_hard_sigmoid", 1 / 5)]
)
def test_each_channel_is_scaled_by_what_the_whole_picture_says(gate: Gate, slope: float | None) -> None:
    torch.manual_seed(0)
    block: Any = SqueezeExcite(6, 3, act="silu", gate=gate)
    x = torch.randn(2, 6, 5, 9)
    mean = x.flatten(2).mean(2)
    inner = mean @ block.reduce.weight[:, :, 0, 0].T + block.reduce.bias
    said = (inner * inner.sigmoid()) @ block.expand.weight[:, :, 0, 0].T + block.expand.bias
    factors = said.sigmoid() if slope is None else (said * slope + 0.5).clamp(0, 1)
    torch.testing.assert_close(block(x), x * factors[:, :, None, None])


def test_gates_are_shut_and_open_at_the_ends() -> None:
    for gate, end in (("hard_sigmoid", 3.0), ("paddle_hard_sigmoid", 2.5)):
        block: Any = SqueezeExcite(2, 1, act="relu", gate=gate)  # type: ignore[arg-type]
        torch.nn.init.zeros_(block.expand.weight)
        block.expand.bias.data = torch.tensor([-end, end])
        assert block(torch.ones(1, 2, 3, 3))[0, :, 0, 0].tolist() == [0.0, 1.0]
