from __future__ import annotations

import torch

from sanderling.models.backbones.repvgg import RepVggConfig

SMALL = RepVggConfig(stem=4, channels=(4, 6, 8, 10), blocks=(2, 1, 2, 1))


def test_maps_have_the_promised_shapes_at_an_odd_size() -> None:
    for config in (SMALL, RepVggConfig(stem=4, channels=(4, 6, 8, 10), blocks=(2, 1, 2, 1), deployed=True)):
        backbone = config.build().eval()
        assert backbone.features.channels == (6, 8, 10)
        maps = backbone(torch.randn(1, 3, 75, 133))
        assert [tuple(x.shape[1:]) for x in maps] == [(6, 10, 17), (8, 5, 9), (10, 3, 5)]


def test_the_deployed_form_is_plain_convolutions_with_bias() -> None:
    names = RepVggConfig(blocks=(1, 1, 1, 1), deployed=True).build().state_dict().keys()
    assert len(names) == 10
    assert all(name.endswith(("rbr_reparam.weight", "rbr_reparam.bias")) for name in names)


def test_the_defaults_are_a0s() -> None:
    with torch.device("meta"):
        network = RepVggConfig().build()
    # The classifier has 1280 * 1000 + 1000 more: 9.11 M parameters in the paper's training form.
    assert sum(parameter.numel() for parameter in network.parameters()) + 1_281_000 == 9_108_968
