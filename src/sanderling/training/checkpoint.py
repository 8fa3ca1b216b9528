"""The resumable state of a run: one file, written whole or not at all."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from sanderling import config
from sanderling.errors import ModelError
from sanderling.training.loop import Training
from sanderling.training.progress import Progress

_FORMAT = 1
# What torch raises on damaged files, told by damaging them.
_UNREADABLE = (
    *(pickle.UnpicklingError, RuntimeError, EOFError, ValueError, TypeError),
    *(LookupError, AttributeError, AssertionError, OSError),
)
_LATER = "feedback"
"""The first checkpoints have none."""
_KEYS = {"format", "network_config", "progress", "task", "optimizer", "ema", _LATER}


def save_checkpoint(path: Path, training: Training) -> None:
    """Write the weights, the average, the optimiser, the progress and the feedback of a run.

    The file takes its name only when all of it is on the disk, so that a run that is killed at any moment leaves the
    checkpoint before it.
    """
    state: dict[str, Any] = {
        "format": _FORMAT,
        "network_config": json.dumps(config.plain(training.task.network.config)),
        "progress": json.dumps(training.progress.to_plain()),
        "task": training.task.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "ema": None if training.ema is None else training.ema.network.state_dict(),
        "feedback": {feedback.name: feedback.state() for feedback in training.feedback},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(path: Path, training: Training) -> None:
    """Bring a freshly built training to the state of a checkpoint; only plain containers and tensors are unpickled.

    Raises:
        ModelError: the file is missing, cut off, or of a run with another network or optimiser.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint; a run can be resumed after its first epoch")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise ModelError(f"{path}: is no readable checkpoint ({(str(error).splitlines() or ['empty'])[0]})") from None
    known = isinstance(state, dict) and state.get("format") == _FORMAT and state.keys() | {_LATER} == _KEYS
    if not known or not isinstance(state.get(_LATER, {}), dict):
        raise ModelError(f"{path}: is no checkpoint that this version can resume; start again from weights/best")
    if json.loads(state["network_config"]) != json.loads(json.dumps(config.plain(training.task.network.config))):
        raise ModelError(f"{path}: is of another network than run.yaml describes; bring back the run's own run.yaml")
    if (state["ema"] is None) != (training.ema is None):
        raise ModelError(f"{path}: run.yaml and checkpoint differ in `ema`; bring back the run's own run.yaml")
    feedback_states = state.get(_LATER, {})
    if feedback_states.keys() != {feedback.name for feedback in training.feedback}:
        raise ModelError(
            f"{path}: holds the feedback of {', '.join(feedback_states) or 'nothing'}, run.yaml has "
            f"{', '.join(feedback.name for feedback in training.feedback) or 'none'}; bring back the run's own run.yaml"
        )
    try:
        training.task.load_state_dict(state["task"])
        training.optimizer.load_state_dict(state["optimizer"])
        if training.ema is not None:
            training.ema.network.load_state_dict(state["ema"])
        for feedback in training.feedback:
            feedback.restore(feedback_states[feedback.name])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: does not fit this run: {(str(error).splitlines() or ['empty'])[0]}") from None
    training.progress = Progress.from_plain(json.loads(state["progress"]))
