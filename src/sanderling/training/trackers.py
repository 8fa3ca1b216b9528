"""Losses and metrics to the tracking tools that people use. All are optional; nothing is sent unless asked for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from sanderling.errors import MissingDependencyError
from sanderling.training.progress import Observer, Record

logger = logging.getLogger(__name__)

TrackerName = Literal["tensorboard", "mlflow", "wandb"]


_PACKAGES = ("mlflow", "wandb")
"""Trackers that are never left out in silence; each is a package of that name."""


def require_trackers(names: Sequence[TrackerName]) -> None:
    """Stop, before anything is written, where a tracker that was asked for is not installed.

    Raises:
        MissingDependencyError: mlflow or wandb is asked for and not installed.
    """
    for name in names:
        if name in _PACKAGES and find_spec(name) is None:
            raise MissingDependencyError(
                f"trackers = {name} needs the package {name!r}, which is not installed; run: pip install {name}"
            )


def open_trackers(
    names: Sequence[TrackerName], folder: Path, *, run_name: str, settings: Mapping[str, Any]
) -> list[Observer]:
    """Open the trackers that a run asks for.

    TensorBoard is asked for by default and left out, with a word, where it is not installed.

    Args:
        names: which.
        folder: the run's folder; TensorBoard's events go there.
        run_name: what the run is called.
        settings: the run as plain values, for trackers that show them.

    Raises:
        MissingDependencyError: mlflow or wandb is asked for and not installed.
    """
    require_trackers(names)
    opened: list[Observer] = []
    for name in dict.fromkeys(names):
        if name == "tensorboard":
            try:
                opened.append(TensorBoard(folder))
            except ImportError:
                logger.info("TensorBoard is not installed; no event files are written (pip install tensorboard)")
        elif name == "mlflow":
            opened.append(MLflow(run_name, settings))
        else:
            opened.append(WeightsAndBiases(folder, run_name, settings))
    return opened


def scalars(record: Record) -> dict[str, float]:
    """The numbers of an epoch's record, flat: `loss/box`, `metrics/AP`, `lr`, ..."""
    flat = {f"loss/{name}": value for name, value in record["losses"].items()}
    flat |= {f"metrics/{name}": value for name, value in (record["metrics"] or {}).items() if value is not None}
    return {**flat, "lr": record["lr"], "pictures_per_s": record["pictures_per_s"]}


class _EpochTracker:
    """An observer that only cares for whole epochs."""

    def epoch_started(self, epoch: int, *, epochs: int, batches: int) -> None:
        """Nothing to tell yet."""

    def stepped(self, losses: Mapping[str, Tensor], *, pictures: int) -> None:
        """Steps are not tracked."""


class TensorBoard(_EpochTracker):
    """Event files in the run's folder. Raises ImportError where tensorboard is not installed."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def epoch_ended(self, record: Record) -> None:
        """Write an epoch's numbers."""
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, record["epoch"])
        self._writer.flush()

    def closed(self) -> None:
        """Finish the file."""
        self._writer.close()


class MLflow(_EpochTracker):
    """A run in the MLflow store that the environment names."""

    def __init__(self, run_name: str, settings: Mapping[str, Any]) -> None:
        import mlflow

        self._mlflow = mlflow
        mlflow.start_run(run_name=run_name)
        mlflow.log_dict(dict(settings), "run.yaml")

    def epoch_ended(self, record: Record) -> None:
        """Log an epoch's numbers."""
        self._mlflow.log_metrics(scalars(record), step=record["epoch"])

    def closed(self) -> None:
        """End the run."""
        self._mlflow.end_run()


class WeightsAndBiases(_EpochTracker):
    """A run of Weights & Biases, in the mode that its environment variables choose."""

    def __init__(self, folder: Path, run_name: str, settings: Mapping[str, Any]) -> None:
        import wandb

        self._run = wandb.init(project="sanderling", name=run_name, dir=str(folder), config=dict(settings))

    def epoch_ended(self, record: Record) -> None:
        """Log an epoch's numbers."""
        self._run.log(scalars(record), step=record["epoch"])

    def closed(self) -> None:
        """End the run."""
        self._run.finish()
