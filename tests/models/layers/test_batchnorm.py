from __future__ import annotations

from torch import nn

from sanderling.models.layers.batchnorm import set_batchnorm


def test_every_batchnorm_inside_is_set_and_nothing_else() -> None:
    module = nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), nn.GroupNorm(2, 4))
    set_batchnorm(module, eps=1e-3, momentum=0.03)
    norms = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]
    assert [(norm.eps, norm.momentum) for norm in norms] == [(1e-3, 0.03)] * 2
    assert module[2].eps == 1e-5
