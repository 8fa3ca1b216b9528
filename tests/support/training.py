"""What the training tests train with: random batches, a loader that needs no files, a task without BatchNorm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from sanderling.datasets.synthetic import write_scenes
from sanderling.models.network import DetectorNetwork
from sanderling.models.zoo.nanodet import nanodet_debug
from sanderling.structures.batch import Batch, Targets
from sanderling.training.ema import Ema
from sanderling.training.loop import Training
from sanderling.training.progress import Progress, Record
from sanderling.training.runtime import Runtime, RuntimeConfig
from sanderling.training.schedule import CosineSchedule, LearningRate, Warmup
from sanderling.training.task import Task
from tests.support.targets import random_targets

CPU = RuntimeConfig(device="cpu", threads=1, workers=0, precision="float32")

DEBUG_RUN = ("runtime.threads=1", "runtime.workers=0", "runtime.precision=float32", "trackers=[]")
"""Settings that make a training of the tests small and the same everywhere."""


def random_batch(
    pictures: int = 2, *, size_hw: tuple[int, int] = (64, 96), classes: int = 2, boxes: int = 3, seed: int = 0
) -> Batch:
    """Noise with boxes; the last picture of a batch of several has none."""
    counts = [boxes] * (pictures - 1) + [0 if pictures > 1 else boxes]
    draw = torch.Generator().manual_seed(seed)
    return Batch(
        images=torch.randint(0, 256, (pictures, 3, *size_hw), dtype=torch.uint8, generator=draw),
        targets=random_targets(seed, counts, size_hw=size_hw, classes=classes),
        picture_ids=tuple(f"picture-{seed}-{index}" for index in range(pictures)),
    )


def part_of(batch: Batch, pictures: slice) -> Batch:
    """Some pictures of a batch as a batch."""
    chosen = range(len(batch.images))[pictures]
    mine = torch.isin(batch.targets.picture_index, torch.tensor(list(chosen)))
    return Batch(
        images=batch.images[pictures],
        targets=Targets(
            boxes_xyxy=batch.targets.boxes_xyxy[mine],
            labels=batch.targets.labels[mine],
            weights=batch.targets.weights[mine],
            picture_index=batch.targets.picture_index[mine] - chosen.start,
            pictures=len(chosen),
        ),
        picture_ids=batch.picture_ids[pictures],
    )


class ListLoader:
    """The same batches in every epoch; it notes what it was asked for."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches
        self.asked: list[tuple[int, bool]] = []

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, epoch: int, *, mosaic: bool = True, progress: float = 0.0) -> Iterator[Batch]:
        assert 0 <= progress < 1
        self.asked.append((epoch, mosaic))
        return iter(self.batches)


class MeanColourTask(Task):
    """Without BatchNorm: a linear layer on the mean colour has to say 1. Losses are means over pictures."""

    means_over_pictures = True

    def __init__(self, network: DetectorNetwork) -> None:
        super().__init__(network)
        # The network that ships takes no part; only these few numbers learn.
        network.requires_grad_(False)
        torch.manual_seed(3)
        self.linear = nn.Linear(3, 2)
        self.poisoned: set[str] = set()

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        said = self.linear(batch.images.float().mean((2, 3)) / 255)
        factor = float("nan") if self.poisoned.intersection(map(str, batch.picture_ids)) else 1.0
        return {"first": (said[:, 0] - 1).square().mean() * factor, "second": (said[:, 1] + 1).square().mean()}


class Watcher:
    """An observer that notes every call."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.records: list[Record] = []

    def epoch_started(self, epoch: int, *, epochs: int, batches: int) -> None:
        self.calls.append(f"start {epoch}/{epochs} of {batches}")

    def stepped(self, losses: Mapping[str, Tensor], *, pictures: int) -> None:
        self.calls.append(f"step {pictures}")

    def epoch_ended(self, record: Record) -> None:
        self.calls.append(f"end {record['epoch']}")
        self.records.append(record)

    def closed(self) -> None:
        self.calls.append("closed")


def training_of(
    task: Task, *, lr: float = 0.1, epochs: int = 3, steps_per_epoch: int = 2, ema: Ema | None = None
) -> Training:
    """A task with plain SGD, no warm-up and a cosine."""
    parameters = [parameter for parameter in task.parameters() if parameter.requires_grad]
    rate = LearningRate(
        schedule=CosineSchedule(), warmup=Warmup(steps=0), base=lr, epochs=epochs, steps_per_epoch=steps_per_epoch
    )
    return Training(
        task=task,
        optimizer=torch.optim.SGD(parameters, lr=lr, momentum=0.9),
        learning_rate=rate,
        ema=ema,
        progress=Progress(),
    )


def mean_colour_training(**settings: float) -> tuple[MeanColourTask, Training]:
    """A `MeanColourTask` ready to train."""
    task = MeanColourTask(nanodet_debug(("a", "b")).build())
    return task, training_of(task, **settings)  # type: ignore[arg-type]


def cpu_runtime() -> Runtime:
    """This process alone, on one thread."""
    return Runtime(CPU)


def tiny_scenes(folder: Path, *, train: int = 10, val: int = 3) -> Path:
    """A rendered data set of a few pictures of odd size."""
    return write_scenes(folder / "scenes", train=train, val=val, seed=5, size_hw=(80, 100))
