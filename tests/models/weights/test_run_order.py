from __future__ import annotations

from torch import nn

from sanderling.models import zoo
from sanderling.models.weights.run_order import convolutions_in_order


def test_every_convolution_that_runs_is_found_once_with_its_norm() -> None:
    config = zoo.config("nanodet-debug", ("a", "b"))
    network = config.build()
    steps = convolutions_in_order(config)
    convolutions = {name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    norms = {name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert {step.name for step in steps} == convolutions
    assert len(steps) == len(convolutions)
    assert {step.norm_name for step in steps} - {None} == norms
    by_name = {step.name: step for step in steps}
    assert by_name["backbone.stage2.0.branch2.3"].norm_name == "backbone.stage2.0.branch2.4"
    assert by_name["head.cls_convs.1.0.pointwise"].norm_name == "head.cls_convs.1.0.pwnorm"
    assert by_name["neck.lateral_convs.0"].norm is by_name["head.gfl_cls.0"].norm is None
    assert steps[0].name == "backbone.conv1.0"
    assert steps[-1].name == "head.gfl_cls.2"


def test_what_never_runs_is_left_out() -> None:
    names = [step.name for step in convolutions_in_order(zoo.config("nanodet-m", ("a",)))]
    assert len(names) == 73
    assert not any(name.startswith("head.gfl_reg.") for name in names)
