from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable

import pytest
import torch

from sanderling.errors import RunError
from sanderling.models import zoo
from sanderling.models.network import DetectorNetwork
from sanderling.recipes.teaching import objective_of
from sanderling.structures.batch import Batch
from sanderling.training.detection import DetectionTask, DetectionTaskConfig
from sanderling.training.loop import LoopConfig, Training, fit
from tests.support.training import (
    ListLoader,
    MeanColourTask,
    Watcher,
    cpu_runtime,
    mean_colour_training,
    part_of,
    random_batch,
    training_of,
)


def _fit(
    training: Training,
    batches: list[Batch],
    *,
    validate: Callable[[DetectorNetwork], dict[str, float | None]] | None = None,
    kept: list[tuple[int, bool]] | None = None,
    watcher: Watcher | None = None,
    seed: int = 0,
    **settings: object,
) -> ListLoader:
    loader = ListLoader(batches)
    fit(
        training,
        loader,
        config=LoopConfig(**settings),  # type: ignore[arg-type]
        runtime=cpu_runtime(),
        seed=seed,
        validate=validate,
        keep=lambda state, best: None if kept is None else kept.append((state.progress.epoch, best)),
        observers=() if watcher is None else (watcher,),
    )
    return loader


def _weights(training: Training) -> torch.Tensor:
    assert isinstance(training.task, MeanColourTask)
    return torch.cat([parameter.detach().flatten() for parameter in training.task.linear.parameters()])


def test_two_accumulated_batches_are_one_of_double_size() -> None:
    whole = [random_batch(6, seed=seed) for seed in range(2)]
    halves = [part_of(batch, part) for batch in whole for part in (slice(0, 3), slice(3, 6))]
    _, joined = mean_colour_training(epochs=3, steps_per_epoch=2)
    _, accumulated = mean_colour_training(epochs=3, steps_per_epoch=2)
    before = _weights(joined)
    _fit(joined, whole, epochs=3)
    _fit(accumulated, halves, epochs=3, accumulate=2)
    assert joined.progress.step == accumulated.progress.step == 6
    assert not torch.allclose(_weights(joined), before)
    torch.testing.assert_close(_weights(accumulated), _weights(joined), rtol=1e-6, atol=1e-7)
    losses = [training.progress.history[-1]["losses"]["total"] for training in (joined, accumulated)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize(
    "name", ["ppyolo-debug", "nanodet-debug", "nanodet-plus-debug", "fcos-debug", "ssdlite-debug", "yolov7-tiny-debug"]
)
@pytest.mark.parametrize("parts", [2, 3])
def test_accumulated_batches_of_a_detector_are_the_joined_batch(name: str, parts: int) -> None:
    size = 6 // parts
    _compare_with_joined(name, [slice(start, start + size) for start in range(0, 6, size)])


def test_batches_with_other_numbers_of_pictures_are_joined_too() -> None:
    _compare_with_joined("fcos-debug", [slice(0, 4), slice(4, 6)])


def _compare_with_joined(name: str, parts: list[slice]) -> None:
    whole = random_batch(6, seed=1, boxes=5)
    split = [part_of(whole, part) for part in parts]
    found = {}
    for key, batches in (("joined", [whole]), ("parts", split)):
        training = training_of(_still(name), lr=1e-3, epochs=1, steps_per_epoch=1)
        before = {key: tensor.clone() for key, tensor in training.task.state_dict().items()}
        _fit(training, batches, epochs=1, accumulate=len(batches))
        after = training.task.state_dict()
        changed = {key: after[key] - before[key] for key in before if before[key].is_floating_point()}
        found[key] = torch.cat([change.flatten() for change in changed.values()])
        found[key + " loss"] = torch.tensor(list(training.progress.history[0]["losses"].values()))
    assert found["joined"].norm() > 1e-4
    assert (found["parts"] - found["joined"]).norm() < 1e-4 * found["joined"].norm()
    torch.testing.assert_close(found["parts loss"], found["joined loss"], rtol=1e-5, atol=1e-6)


def _still(name: str) -> DetectionTask:
    """A detection task without what makes a batch more than its pictures: BatchNorm and dropped blocks."""
    torch.manual_seed(0)
    network = zoo.config(name, ("a", "b")).build()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    network.train()(random_batch(4, seed=9).images)
    return _Still(network, DetectionTaskConfig(objective=objective_of(network.config)))


class _Still(DetectionTask):
    def train(self, mode: bool = True) -> _Still:
        super().train(False)
        return self


def test_looking_at_accumulated_batches_leaves_no_trace() -> None:
    """BatchNorm follows each batch once, and what is drawn is drawn as it would be without."""
    batches = [random_batch(2, seed=seed) for seed in range(2)]
    torch.manual_seed(0)
    network = zoo.config("ppyolo-debug", ("a", "b")).build()
    # Blocks are dropped at random.
    task = DetectionTask(network, DetectionTaskConfig(objective=objective_of(network.config)))
    task.means_over_pictures = False
    reference = copy.deepcopy(task).train()
    _fit(training_of(task, lr=0.0, epochs=1, steps_per_epoch=1), batches, epochs=1, accumulate=2)
    drawn = torch.rand(3)
    torch.manual_seed(0)
    for batch in batches:
        reference(batch)
    assert torch.equal(torch.rand(3), drawn)
    counted = {key: value for key, value in task.network.state_dict().items() if "running" in key or "tracked" in key}
    assert len(counted) > 20
    for key, value in counted.items():
        torch.testing.assert_close(value, reference.network.state_dict()[key], rtol=1e-4, atol=1e-6)


def test_a_last_group_of_fewer_batches_is_a_step_with_their_mean() -> None:
    batches = [random_batch(2, seed=seed) for seed in range(3)]
    _, three = mean_colour_training(epochs=1, steps_per_epoch=2)
    _fit(three, batches, epochs=1, accumulate=2)
    assert three.progress.step == 2
    _, reference = mean_colour_training(epochs=1, steps_per_epoch=2)
    joined = dataclasses.replace(batches[0], images=torch.cat([batches[0].images, batches[1].images]))
    _fit(reference, [joined, batches[2]], epochs=1)
    torch.testing.assert_close(_weights(three), _weights(reference), rtol=1e-6, atol=1e-7)


def test_long_gradients_are_shortened() -> None:
    steps = {}
    for clip_norm in (None, 0.25):
        _, training = mean_colour_training(epochs=1, steps_per_epoch=1, lr=1.0)
        before = _weights(training)
        _fit(training, [random_batch()], epochs=1, clip_norm=clip_norm)
        steps[clip_norm] = _weights(training) - before
    assert steps[None].norm() > 0.3
    assert steps[0.25].norm() == pytest.approx(0.25, rel=1e-4)
    assert torch.nn.functional.cosine_similarity(steps[None], steps[0.25], dim=0) == pytest.approx(1, abs=1e-5)


def test_a_step_that_is_not_finite_is_skipped_and_counted() -> None:
    good, bad = random_batch(seed=0), random_batch(seed=1)
    task, training = mean_colour_training(epochs=2, steps_per_epoch=3)
    task.poisoned = {"picture-1-0"}
    _fit(training, [good, bad, good], epochs=2)
    # The skipped step still counts in the schedule, so the reference has a batch there that teaches nothing.
    assert [record["skipped_steps"] for record in training.progress.history] == [1, 1]
    assert training.progress.step == 6
    assert torch.isfinite(_weights(training)).all()
    _, reference = mean_colour_training(epochs=2, steps_per_epoch=2)
    _fit(reference, [good, good], epochs=2)
    torch.testing.assert_close(_weights(training), _weights(reference))
    # The mean of an epoch is that of its good batches.
    for record, expected in zip(training.progress.history, reference.progress.history, strict=True):
        assert record["losses"] == pytest.approx(expected["losses"])


def test_an_epoch_without_a_single_good_batch_has_losses_that_can_be_written() -> None:
    task, training = mean_colour_training(epochs=1, steps_per_epoch=1)
    task.poisoned = {"picture-1-0"}
    _fit(training, [random_batch(seed=1)], epochs=1)
    assert training.progress.history[0]["losses"] == {"first": 0, "second": 0, "total": 0}


def test_twenty_bad_steps_in_a_row_end_the_run_whatever_the_length_of_an_epoch() -> None:
    task, training = mean_colour_training(epochs=30, steps_per_epoch=3)
    task.poisoned = {"picture-1-0"}
    with pytest.raises(RunError, match=r"20 steps in a row at learning rate .*picture-1-0, picture-1-1.*optimizer\.lr"):
        _fit(training, [random_batch(seed=1)] * 3, epochs=30)
    assert training.progress.epoch == 6
    assert torch.isfinite(_weights(training)).all()


def test_bad_steps_with_good_ones_between_do_not_end_the_run() -> None:
    task, training = mean_colour_training(epochs=15, steps_per_epoch=3)
    task.poisoned = {"picture-1-0"}
    _fit(training, [random_batch(seed=1), random_batch(seed=1), random_batch(seed=0)], epochs=15)
    assert sum(record["skipped_steps"] for record in training.progress.history) == 30


def _scores(values: list[float | None]) -> Callable[[DetectorNetwork], dict[str, float | None]]:
    left = iter(values)
    return lambda network: {"AP": next(left), "AP50": 0.5}


def test_stops_when_it_gets_no_better() -> None:
    _, training = mean_colour_training(epochs=10)
    kept: list[tuple[int, bool]] = []
    _fit(
        training,
        [random_batch()],
        epochs=10,
        patience=2,
        kept=kept,
        validate=_scores([0.1, 0.3, 0.3, 0.2, 0.9]),
    )
    # An equal score is not better.
    assert kept == [(1, True), (2, True), (3, False), (4, False)]
    assert (training.progress.best, training.progress.best_epoch) == (0.3, 2)
    # A run that had given up stays so when it is resumed.
    _fit(training, [random_batch()], epochs=10, patience=2, kept=kept)
    assert len(kept) == 4


def test_gives_up_at_a_validation_only() -> None:
    _, training = mean_colour_training(epochs=20)
    _fit(training, [random_batch()], epochs=20, patience=2, validate_every=5, validate=_scores([0.1, 0.3, 0.2]))
    # Epochs 12 to 14 are as far from the best as patience allows, but nobody knows yet how good they are.
    assert (training.progress.epoch, training.progress.best_epoch) == (15, 10)


def test_validates_when_due_and_at_the_end() -> None:
    _, training = mean_colour_training(epochs=5)
    kept: list[tuple[int, bool]] = []
    _fit(training, [random_batch()], epochs=5, validate_every=2, kept=kept, validate=_scores([None, 0.2, 0.1]))
    validated = [record["epoch"] for record in training.progress.history if record["metrics"] is not None]
    assert validated == [2, 4, 5]
    # The first validation is the best so far even where nothing could be measured.
    assert kept == [(1, False), (2, True), (3, False), (4, True), (5, False)]


def test_without_validation_there_are_no_metrics_and_no_best() -> None:
    _, training = mean_colour_training(epochs=2)
    _fit(training, [random_batch()], epochs=2, patience=1)
    assert [record["metrics"] for record in training.progress.history] == [None, None]
    assert training.progress.best is None


def test_the_last_epochs_have_no_mosaic() -> None:
    _, training = mean_colour_training(epochs=5)
    assert _fit(training, [random_batch()], epochs=5, mosaic_off=2).asked == [
        (0, True),
        (1, True),
        (2, True),
        (3, False),
        (4, False),
    ]
    _, short = mean_colour_training(epochs=2)
    assert _fit(short, [random_batch()], epochs=2, mosaic_off=10).asked == [(0, False), (1, False)]


def test_observers_are_told_in_order_and_after_the_run_is_kept() -> None:
    _, training = mean_colour_training(epochs=2)
    watcher = Watcher()
    loader = ListLoader([random_batch(2), random_batch(3)])
    fit(
        training,
        loader,
        config=LoopConfig(epochs=2),
        runtime=cpu_runtime(),
        seed=0,
        validate=None,
        keep=lambda state, _: watcher.calls.append(f"kept {state.progress.epoch}"),
        observers=(watcher,),
    )
    assert watcher.calls == [
        *("start 1/2 of 2", "step 2", "step 3", "kept 1", "end 1"),
        *("start 2/2 of 2", "step 2", "step 3", "kept 2", "end 2"),
    ]
    record = watcher.records[0]
    assert set(record) == {"epoch", "time_s", "lr", "losses", "pictures_per_s", "skipped_steps", "metrics"}
    assert record["losses"]["total"] == pytest.approx(record["losses"]["first"] + record["losses"]["second"])


class _DrawingTask(MeanColourTask):
    """Draws numbers in training, as dropout does."""

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        losses = dict(super().forward(batch))
        return {**losses, "first": losses["first"] * torch.rand(())}


@pytest.mark.parametrize("seeds", [(1, 1), (1, 2)])
def test_what_the_network_draws_is_a_function_of_seed_and_epoch(seeds: tuple[int, int]) -> None:
    found = []
    for seed in seeds:
        task, training = mean_colour_training(epochs=2)
        drawing = _DrawingTask(task.network)
        training.task = drawing
        training.optimizer = torch.optim.SGD(drawing.linear.parameters(), lr=0.1)
        torch.rand(seed + 7)  # whatever was drawn before must not matter
        _fit(training, [random_batch()] * 2, epochs=2, seed=seed)
        found.append(_weights(training))
    assert torch.equal(*found) == (seeds[0] == seeds[1])


def test_the_task_is_told_the_number_of_every_epoch_also_after_resuming(monkeypatch: pytest.MonkeyPatch) -> None:
    task, training = mean_colour_training(epochs=4)
    told: list[int] = []
    monkeypatch.setattr(task, "begin_epoch", told.append)
    _fit(training, [random_batch()], epochs=2)
    assert told == [0, 1]
    _fit(training, [random_batch()], epochs=4)
    assert told == [0, 1, 2, 3]
