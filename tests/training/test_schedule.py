from __future__ import annotations

import math

import pytest
import torch

from sanderling import config
from sanderling.errors import UsageError
from sanderling.training.schedule import CosineSchedule, LearningRate, MultiStepSchedule, Warmup


def _slow_multistep(epoch: int, warm: int, step: int) -> float:
    """NanoDet-m's published learning rate, written down by hand."""
    rate = 0.14
    for milestone in (240, 260, 275):
        if epoch >= milestone:
            rate *= 0.1
    if step < warm:
        rate *= 0.1 + 0.9 * step / warm
    return rate


def test_published_nanodet_schedule() -> None:
    steps = 7
    learning_rate = LearningRate(
        schedule=MultiStepSchedule(), warmup=Warmup(steps=300, ratio=0.1), base=0.14, epochs=280, steps_per_epoch=steps
    )
    for step in range(280 * steps):
        assert learning_rate.at(step) == pytest.approx(_slow_multistep(step // steps, 300, step), rel=1e-12), step


@pytest.mark.parametrize("epochs", [56, 280, 560])
def test_milestones_keep_their_shares(epochs: int) -> None:
    schedule = MultiStepSchedule()
    drops = [
        epoch for epoch in range(1, epochs) if schedule.factor(epoch / epochs) < schedule.factor((epoch - 1) / epochs)
    ]
    assert drops == [math.ceil(epochs * milestone / 280) for milestone in (240, 260, 275)]


def test_milestones_that_do_not_rise_are_refused() -> None:
    with pytest.raises(UsageError, match="must rise"):
        config.parse(MultiStepSchedule, {"milestones": [0.9, 0.5]})


def test_cosine_falls_from_one_to_its_end_and_never_rises() -> None:
    schedule = CosineSchedule(final=0.05)
    values = [schedule.factor(done / 50) for done in range(51)]
    assert values[0] == 1.0
    assert values[25] == pytest.approx((1 + 0.05) / 2)
    assert values[-1] == pytest.approx(0.05)
    assert values == sorted(values, reverse=True)
    assert schedule.factor(1.5) == pytest.approx(0.05)


def test_cosine_is_constant_within_an_epoch() -> None:
    learning_rate = LearningRate(
        schedule=CosineSchedule(), warmup=Warmup(steps=0), base=1.0, epochs=10, steps_per_epoch=3
    )
    assert learning_rate.at(3) == learning_rate.at(5) != learning_rate.at(6)


def test_no_warmup_starts_in_full() -> None:
    assert Warmup(steps=0, ratio=0.1).factor(0) == 1.0
    assert Warmup(steps=10, ratio=0.0).factor(0) == 0.0
    assert Warmup(steps=10, ratio=0.5).factor(10) == 1.0


def test_forms_of_warmup_follow_their_sources() -> None:
    steps, ratio = 40, 0.1
    for step in range(steps):
        rest = 1 - step / steps
        factors = {form: _warmup(form, steps, ratio).factor(step) for form in ("linear", "constant", "exponential")}
        # NanoDet's trainer, https://github.com/RangiLyu/nanodet.
        assert factors["linear"] == pytest.approx(1 - rest * (1 - ratio))
        assert factors["constant"] == ratio
        assert factors["exponential"] == pytest.approx(ratio**rest)
        # darknet's burn-in, power 4.
        assert _warmup("burn_in", steps, 0.0).factor(step) == pytest.approx(math.pow(step / steps, 4))
    for form in ("linear", "constant", "exponential", "burn_in"):
        warmup = _warmup(form, steps, ratio)
        values = [warmup.factor(step) for step in range(steps + 2)]
        assert values[0] == pytest.approx(ratio), form
        assert values == sorted(values), form
        assert values[steps:] == [1.0, 1.0], form
        assert warmup.within(50) == _warmup(form, 10, ratio)


def _warmup(form: str, steps: int, ratio: float) -> Warmup:
    return config.parse(Warmup, {"form": form, "steps": steps, "ratio": ratio})


def test_a_warmup_that_was_written_without_a_form_is_linear() -> None:
    assert config.parse(Warmup, {"steps": 300, "ratio": 0.1}) == Warmup(steps=300, ratio=0.1, form="linear")


def test_nothing_can_be_multiplied_up_from_nothing() -> None:
    with pytest.raises(UsageError, match="needs a ratio above 0"):
        _warmup("exponential", 100, 0.0)
    with pytest.raises(UsageError, match="form = 'cosine'"):
        _warmup("cosine", 100, 0.1)


def test_apply_sets_every_group() -> None:
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [weight]} for weight in weights], lr=9.0)
    learning_rate = LearningRate(
        schedule=CosineSchedule(), warmup=Warmup(steps=4, ratio=0.5), base=2.0, epochs=5, steps_per_epoch=100
    )
    assert learning_rate.apply(optimizer, 2) == pytest.approx(1.5)
    assert [group["lr"] for group in optimizer.param_groups] == [pytest.approx(1.5)] * 2


def test_a_short_run_warms_up_for_a_fifth_of_it() -> None:
    assert Warmup(steps=100, ratio=0.1).within(50).steps == 10
    assert Warmup(steps=100, ratio=0.1).within(5000) == Warmup(steps=100, ratio=0.1)
