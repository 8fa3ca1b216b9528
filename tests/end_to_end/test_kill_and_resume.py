"""Acceptance: a run killed at any moment goes on, and ends in the very weights of one that was left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from sanderling.commands.train import train
from sanderling.structures.batch import Batch
from sanderling.training.stitching import Stitching
from tests.support.training import DEBUG_RUN, tiny_scenes

pytestmark = pytest.mark.slow

_KILLS = 20
_SETTINGS = (
    *(*DEBUG_RUN, "warmup.steps=5", "runtime.workers=1"),
    # What the training feeds back into its batches has to survive as well: some are stitched by these settings and
    # some are not, and where the network was most active is cut out of pictures that are seen alone.
    *("augment.stitcher={threshold: 0.5, small_side: 18}", "augment.activation_cutout={}"),
)
_EPOCHS = 64

# Waits until the parent says when: importing torch is no part of the run, and few kills would meet anything else.
_CHILD = """
import sys
from sanderling.commands.train import train
import sanderling.recipes.build, sanderling.commands.validate, sanderling.data.loader, sanderling.evaluation.evaluate
print("ready", flush=True)
sys.stdin.readline()
folder, data, resume = sys.argv[1], sys.argv[2], sys.argv[3] == "resume"
if resume:
    train(folder, resume=True)
else:
    epochs, assignments = int(sys.argv[4]), sys.argv[5:]
    train("nanodet-debug", data=data, output=folder, epochs=epochs, batch=4, imgsz=64, assignments=assignments)
"""


def _start(folder: Path, data: Path, *, resume: bool) -> subprocess.Popen[bytes]:
    words = [str(folder), str(data), "resume" if resume else "new", str(_EPOCHS), *_SETTINGS]
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdin.write(b"go\n")
    process.stdin.flush()
    return process


def _kill(process: subprocess.Popen[bytes], checkpoint: Path, draw: random.Random) -> None:
    """SIGKILL at a random moment of the start, or of the second or third epoch from here on."""
    epochs, moment_s = draw.randrange(3), draw.random()
    began = time.perf_counter()
    stamps, epoch_s = [_stamp(checkpoint)], 1.0
    while len(stamps) <= epochs:
        assert process.poll() is None, f"the run ended by itself: exit code {process.returncode}"
        assert time.perf_counter() - began < 120
        if (stamp := _stamp(checkpoint)) != stamps[-1]:
            stamps.append(stamp)
            epoch_s, began = time.perf_counter() - began, time.perf_counter()
        time.sleep(0.001)
    time.sleep(moment_s * min(1.0, epoch_s))
    # The training process alone: its workers have to notice by themselves.
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _checkpoint(folder: Path) -> dict[str, Any] | None:
    path = folder / "weights/last.ckpt"
    return torch.load(path, weights_only=True) if path.exists() else None


def test_killed_at_twenty_moments_and_resumed_it_ends_in_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tiny_scenes(tmp_path, train=8, val=1)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    stitched: list[bool] = []
    before = Stitching.before

    def noting(self: Stitching, batch: Batch) -> Batch:
        learnt = before(self, batch)
        stitched.append(learnt.images is not batch.images)
        return learnt

    monkeypatch.setattr(Stitching, "before", noting)
    train("nanodet-debug", data=data, output=whole, epochs=_EPOCHS, batch=4, imgsz=64, assignments=_SETTINGS)
    # Whoever forgot what was fed back would stitch the first batch of every epoch that is begun anew.
    assert 5 < sum(stitched[::2]) < _EPOCHS - 5
    assert 5 < sum(stitched[1::2]) < _EPOCHS - 5
    draw = random.Random(6)
    epochs: list[int] = []
    for _ in range(_KILLS):
        process = _start(killed, data, resume=(killed / "run.yaml").exists())
        _kill(process, killed / "weights/last.ckpt", draw)
        # Whatever stands there can be read.
        state = _checkpoint(killed)
        epochs.append(0 if state is None else len(_history(state)))
    assert epochs == sorted(epochs)
    assert len(set(epochs)) > 5, epochs
    train(killed, resume=True)
    first, second = _checkpoint(whole), _checkpoint(killed)
    assert first is not None
    assert second is not None
    for part in ("task", "ema"):
        assert first[part].keys() == second[part].keys()
        assert all(torch.equal(tensor, second[part][name]) for name, tensor in first[part].items())
    assert (whole / "weights/best.safetensors").read_bytes() == (killed / "weights/best.safetensors").read_bytes()
    assert [record["losses"] for record in _history(first)] == [record["losses"] for record in _history(second)]
    assert first["feedback"]["stitcher"] == second["feedback"]["stitcher"]
    marks, same_marks = (state["feedback"]["activation_cutout"]["marks"] for state in (first, second))
    assert marks.any()
    assert torch.equal(marks, same_marks)
    print(f"killed at epochs {epochs} of {_EPOCHS}; weights bit-identical")


def _history(state: dict[str, Any]) -> list[dict[str, Any]]:
    import json

    history: list[dict[str, Any]] = json.loads(state["progress"])["history"]
    return history
