from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sanderling.errors import ModelError
from sanderling.models.auxiliary.guidance import GuidanceConfig
from sanderling.models.zoo.nanodet import nanodet_debug
from sanderling.models.zoo.nanodet_plus import nanodet_plus_debug
from sanderling.objectives.dynamic_distribution import DynamicDistributionObjectiveConfig
from sanderling.structures.batch import Batch
from sanderling.training.checkpoint import load_checkpoint, save_checkpoint
from sanderling.training.detection import DetectionTaskConfig
from sanderling.training.ema import Ema, EmaConfig
from sanderling.training.feedback import Feedback
from sanderling.training.loop import LoopConfig, Training, fit
from sanderling.training.optimizer import AdamWConfig, SgdConfig
from sanderling.training.progress import Progress
from sanderling.training.schedule import CosineSchedule, LearningRate, Warmup
from tests.support.training import ListLoader, cpu_runtime, random_batch

_BATCHES = [random_batch(2, seed=seed, size_hw=(64, 96)) for seed in range(2)]


def _training(
    *, classes: tuple[str, ...] = ("a", "b"), optimizer: str = "adamw", ema: bool = True, seed: int = 0
) -> Training:
    torch.manual_seed(seed)
    network = nanodet_debug(classes).build()
    task = DetectionTaskConfig().build(network)
    return Training(
        task=task,
        optimizer=(AdamWConfig() if optimizer == "adamw" else SgdConfig(lr=0.01)).build(task),
        learning_rate=LearningRate(
            schedule=CosineSchedule(), warmup=Warmup(steps=2), base=1e-3, epochs=4, steps_per_epoch=2
        ),
        ema=Ema(network, EmaConfig(decay=0.9, ramp=2)) if ema else None,
        progress=Progress(),
    )


def _train(training: Training, epochs: int) -> None:
    fit(
        training,
        ListLoader(_BATCHES),
        config=LoopConfig(epochs=epochs),
        runtime=cpu_runtime(),
        seed=0,
        validate=None,
        keep=lambda *_: None,
    )


def _state(training: Training) -> dict[str, Any]:
    flat = {f"task.{name}": tensor for name, tensor in training.task.state_dict().items()}
    if training.ema is not None:
        flat |= {f"ema.{name}": tensor for name, tensor in training.ema.network.state_dict().items()}
    for number, slots in training.optimizer.state_dict()["state"].items():
        flat |= {
            f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in slots.items() if value is not None
        }
    return flat


def _assert_same(first: Training, second: Training) -> None:
    left, right = _state(first), _state(second)
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Training]:
    training = _training()
    _train(training, 1)
    path = tmp_path_factory.mktemp("run") / "weights" / "last.ckpt"
    save_checkpoint(path, training)
    return path, training


@pytest.mark.parametrize(("optimizer", "ema"), [("adamw", True), ("sgd", False)])
def test_a_resumed_training_goes_on_bit_by_bit(tmp_path: Path, optimizer: str, ema: bool) -> None:
    whole = _training(optimizer=optimizer, ema=ema)
    _train(whole, 3)
    first = _training(optimizer=optimizer, ema=ema)
    _train(first, 1)
    save_checkpoint(tmp_path / "last.ckpt", first)
    second = _training(optimizer=optimizer, ema=ema, seed=9)
    load_checkpoint(tmp_path / "last.ckpt", second)
    _assert_same(first, second)
    assert second.progress == first.progress
    _train(second, 3)
    _assert_same(whole, second)
    assert [record["losses"] for record in second.progress.history] == [
        record["losses"] for record in whole.progress.history
    ]


def test_a_training_resumed_where_its_guidance_is_detached_goes_on_bit_by_bit(tmp_path: Path) -> None:
    def guided(seed: int) -> Training:
        torch.manual_seed(seed)
        config = nanodet_plus_debug(("a", "b"))
        auxiliary = GuidanceConfig(depth=1, groups=16, detach_epoch=1)
        network = dataclasses.replace(config, auxiliary=auxiliary).build()
        task = DetectionTaskConfig(objective=DynamicDistributionObjectiveConfig()).build(network)
        rate = LearningRate(schedule=CosineSchedule(), warmup=Warmup(steps=2), base=1e-3, epochs=2, steps_per_epoch=2)
        optimizer = AdamWConfig().build(task)
        return Training(task=task, optimizer=optimizer, learning_rate=rate, ema=None, progress=Progress())

    whole = guided(0)
    _train(whole, 2)
    first = guided(0)
    _train(first, 1)
    save_checkpoint(tmp_path / "last.ckpt", first)
    second = guided(9)
    load_checkpoint(tmp_path / "last.ckpt", second)
    _train(second, 2)
    _assert_same(whole, second)


def test_nothing_but_the_checkpoint_is_left(saved: tuple[Path, Training]) -> None:
    assert [file.name for file in saved[0].parent.iterdir()] == ["last.ckpt"]


def test_a_failed_write_leaves_the_checkpoint_before_it(
    saved: tuple[Path, Training], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, training = tmp_path / "last.ckpt", saved[1]
    save_checkpoint(path, training)
    before = path.read_bytes()

    def fill_the_disk(state: object, file: Any) -> None:
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, training)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_file_that_is_cut_off(saved: tuple[Path, Training], tmp_path: Path, share: float) -> None:
    whole = saved[0].read_bytes()
    path = tmp_path / "last.ckpt"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match=r"last\.ckpt: is no readable checkpoint"):
        load_checkpoint(path, _training())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "last.ckpt", _training())


def test_a_file_of_something_else(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "last.ckpt")
    with pytest.raises(ModelError, match="no checkpoint that this version can resume"):
        load_checkpoint(tmp_path / "last.ckpt", _training())


def test_a_run_of_another_network(saved: tuple[Path, Training]) -> None:
    with pytest.raises(ModelError, match="is of another network than"):
        load_checkpoint(saved[0], _training(classes=("a", "c")))


def test_a_run_with_another_optimiser_or_average(saved: tuple[Path, Training]) -> None:
    with pytest.raises(ModelError, match="does not fit this run"):
        load_checkpoint(saved[0], _training(optimizer="sgd"))
    with pytest.raises(ModelError, match="differ in `ema`"):
        load_checkpoint(saved[0], _training(ema=False))


class _Counting(Feedback):
    """Counts batches; only its state is of interest here."""

    def __init__(self, name: str = "counting") -> None:
        self.name = name
        self.count = 0

    def before(self, batch: Batch) -> Batch:
        return batch

    def after(self, batch: Batch, losses: Mapping[str, Tensor]) -> None:
        self.count += 1

    def epoch_ended(self) -> None:
        self.count += 100

    def state(self) -> dict[str, Any]:
        return {"count": self.count, "grid": torch.full((2,), self.count)}

    def restore(self, state: Mapping[str, Any]) -> None:
        if state["grid"].tolist() != [state["count"]] * 2:
            raise ValueError("another grid")
        self.count = state["count"]


def test_feedback_goes_on_where_it_was(tmp_path: Path) -> None:
    first, second, other = _training(), _training(), _training()
    first.feedback, second.feedback, other.feedback = (_Counting(),), (_Counting(),), (_Counting("other"),)
    _train(first, 1)
    save_checkpoint(tmp_path / "last.ckpt", first)
    load_checkpoint(tmp_path / "last.ckpt", second)
    assert second.feedback[0].state()["count"] == 102
    with pytest.raises(ModelError, match=r"holds the feedback of counting, run\.yaml has none"):
        load_checkpoint(tmp_path / "last.ckpt", _training())
    with pytest.raises(ModelError, match=r"holds the feedback of counting, run\.yaml has other"):
        load_checkpoint(tmp_path / "last.ckpt", other)
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)
    torch.save({**state, "feedback": 3}, tmp_path / "last.ckpt")
    with pytest.raises(ModelError, match="no checkpoint that this version can resume"):
        load_checkpoint(tmp_path / "last.ckpt", second)
    state["feedback"]["counting"]["count"] = 3
    torch.save(state, tmp_path / "last.ckpt")
    with pytest.raises(ModelError, match="does not fit this run: another grid"):
        load_checkpoint(tmp_path / "last.ckpt", second)


def test_a_checkpoint_from_before_there_was_feedback(saved: tuple[Path, Training], tmp_path: Path) -> None:
    state = torch.load(saved[0], weights_only=True)
    assert state.pop("feedback") == {}
    torch.save(state, tmp_path / "last.ckpt")
    training = _training(seed=9)
    load_checkpoint(tmp_path / "last.ckpt", training)
    _assert_same(saved[1], training)
    training.feedback = (_Counting(),)
    with pytest.raises(ModelError, match=r"holds the feedback of nothing, run\.yaml has counting"):
        load_checkpoint(tmp_path / "last.ckpt", training)


class _Hostile:
    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._target,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_hostile_file_runs_nothing(tmp_path: Path, how: str) -> None:
    path, trace = tmp_path / "last.ckpt", tmp_path / "it-ran"
    if how == "torch":
        torch.save({"format": 1, "task": _Hostile(trace)}, path)
    else:
        path.write_bytes(pickle.dumps(_Hostile(trace), protocol=2))
    with pytest.raises(ModelError, match="is no readable checkpoint"):
        load_checkpoint(path, _training())
    assert not trace.exists()
