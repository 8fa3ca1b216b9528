from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.tan import Tan, TanConfig

FEATURES = FeatureSpec((6, 10, 14), (8, 16, 32))
CONFIG = TanConfig(channels=16, cells_hw=(4, 6), heads=4, mlp_ratio=2)


def _maps(rows: int = 2, columns: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, width, rows * factor, columns * factor, generator=generator)
        for width, factor in zip(FEATURES.channels, (4, 2, 1), strict=True)
    ]


def _neck() -> Tan:
    torch.manual_seed(0)
    return CONFIG.build(FEATURES).eval()


def test_what_the_transformer_sees_on_the_middle_level_is_added_to_every_level() -> None:
    neck = _neck()
    fine, middle, coarse = (conv(x) for conv, x in zip(neck.lateral_convs, _maps(), strict=True))
    joined = torch.cat(
        (
            F.interpolate(fine, scale_factor=0.5, mode="bilinear"),
            middle,
            F.interpolate(coarse, scale_factor=2, mode="bilinear"),
        ),
        1,
    )
    cells = F.conv2d(joined, neck.transformer.conv.weight, neck.transformer.conv.bias).relu()
    tokens = cells.flatten(2).permute(0, 2, 1) + neck.pos_embed[:, 0]
    seen = neck.transformer.encoders(tokens).permute(0, 2, 1).reshape(2, 16, 4, 6)
    expected = (
        fine + F.interpolate(seen, scale_factor=2, mode="bilinear"),
        middle + seen,
        coarse + F.interpolate(seen, scale_factor=0.5, mode="bilinear"),
    )
    for found, reference in zip(neck(_maps()), expected, strict=True):
        torch.testing.assert_close(found, reference)


def test_places_are_interpolated_for_maps_of_another_size() -> None:
    neck = _neck()
    # A ramp over the columns stays a ramp, whatever the number of cells.
    ramp = (torch.arange(6) + 0.5) / 6
    neck.pos_embed.data.copy_(ramp.repeat(4)[:, None, None].expand(24, 1, 16))
    seen: list[torch.Tensor] = []
    neck.transformer.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[1]))
    maps = neck(_maps(rows=3, columns=5))
    assert [tuple(x.shape[1:]) for x in maps] == [(16, 12, 20), (16, 6, 10), (16, 3, 5)]
    places = seen[0][0, :, 0].view(6, 10)
    assert (places - places[0]).abs().max() < 1e-6
    inner = (torch.arange(10) + 0.5) / 10
    torch.testing.assert_close(places[0, 1:-1], inner[1:-1])


def test_the_unused_layer_is_carried_on_request_and_does_not_learn() -> None:
    torch.manual_seed(0)
    carrying = TanConfig(channels=16, heads=4, unused_linear=True).build(FEATURES)
    without = TanConfig(channels=16, heads=4).build(FEATURES)
    more = carrying.state_dict().keys() - without.state_dict().keys()
    assert more == {"transformer.linear.weight", "transformer.linear.bias"}
    assert not any(parameter.requires_grad for parameter in carrying.transformer.linear.parameters())


def test_levels_and_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelError, match=r"exactly three levels.*has 2 \(strides 16, 32\); take another neck"):
        CONFIG.build(FeatureSpec((6, 10), (16, 32)))
    with pytest.raises(ModelError, match=r"neck\.heads = 5: must divide neck\.channels = 16"):
        TanConfig(channels=16, heads=5).build(FEATURES)
