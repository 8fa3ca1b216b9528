from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sanderling import config
from sanderling.commands import batch_probe
from sanderling.commands.batch_probe import (
    DoesNotFitError,
    ProbeRequest,
    _cached,
    _FirstBatches,
    _in_miniature,
    measured,
    memory_of_children,
    own_memory,
    probe,
)
from sanderling.commands.train_plan import TrainWishes
from sanderling.data.loader import TrainingLoader
from sanderling.datasets.locate import open_dataset
from sanderling.errors import DataError, RunError
from sanderling.recipes.named import named
from tests.support.small_sets import put
from tests.support.training import DEBUG_RUN, ListLoader, random_batch, tiny_scenes

MB = 10**6


def _request(data: Path | None = None) -> ProbeRequest:
    wishes = TrainWishes(data=None if data is None else str(data), imgsz=(64, 96), assignments=DEBUG_RUN)
    return ProbeRequest(run="nanodet-debug", wishes=wishes)


def test_a_run_in_miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = tiny_scenes(tmp_path / "data")
    found = measured(_request(data), 4)
    assert (found.batch, found.step, found.pictures, found.device_free) == (4, 16, 10, None)
    assert found.picture_bytes == 64 * 96 * 3
    # The process of the tests holds torch, and has done more before.
    assert 100 * MB < found.before <= found.peak < found.addresses
    assert os.listdir(tmp_path) == ["data"], "a probe leaves nothing behind"  # noqa: PTH208


def test_the_largest_size_is_measured_and_nothing_is_drawn_at_others() -> None:
    run = config.override(named("nanodet-debug"), ["augment.sizes={}", "loop.accumulate=3", "loop.epochs=40"])
    assert run.augment.sizes is not None
    sizes = run.augment.sizes.sizes_hw(run.model.picture.size_hw).tolist()
    assert len(sizes) > 1
    small = _in_miniature(run, 7)
    assert list(small.model.picture.size_hw) == max(sizes)
    assert (small.augment.sizes, small.batch, small.loop.accumulate, small.loop.epochs) == (None, 7, 1, 1)


def test_pictures_that_a_whole_epoch_keeps_in_memory_count_already(tmp_path: Path) -> None:
    dataset = open_dataset(tiny_scenes(tmp_path), split="train")
    run = config.override(named("nanodet-debug"), ["runtime.cache={where: ram}"])
    for cache, expected in ((run.runtime.cache, 10 * 80 * 100 * 3), (None, 0)):
        plan = dataclasses.replace(run, runtime=dataclasses.replace(run.runtime, cache=cache))
        with TrainingLoader(
            dataset, picture=run.model.picture, augment=run.augment, batch=2, seed=0, cache=cache
        ) as loader:
            next(loader.epoch(0))
            assert expected <= _cached(plan, loader) <= 1.1 * expected


def test_a_short_epoch_goes_on_in_the_next() -> None:
    loader = ListLoader([random_batch(3), random_batch(2)])
    first = _FirstBatches(loader)
    assert [len(batch.images) for batch in first.epoch(0)] == [3, 2, 3]
    assert (len(first), first.batch) == (3, 3)
    assert loader.asked == [(0, True), (1, True)]


@pytest.mark.slow
def test_a_probe_of_its_own_process_and_what_it_says_of_a_run_that_cannot_start(tmp_path: Path) -> None:
    data = tiny_scenes(tmp_path / "data")
    small, large = (probe(_request(data), batch) for batch in (1, 8))
    assert 100 * MB < small.before < small.peak < 3000 * MB
    assert (small.batch, large.batch) == (1, 8)
    with pytest.raises(DataError, match="nothing: no such file or folder"):
        probe(_request(tmp_path / "nothing"), 2)


@pytest.mark.slow
def test_a_probe_that_has_no_room() -> None:
    # Too little for torch itself, not for this side of it.
    work = """
from sanderling.commands.batch_probe import DoesNotFitError, ProbeRequest, probe
from sanderling.commands.train_plan import TrainWishes
try:
    print(probe(ProbeRequest(run="nanodet-debug", wishes=TrainWishes()), 2))
except DoesNotFitError as error:
    print("does not fit:", error)
"""
    limited = ["bash", "-c", 'ulimit -v 1500000; exec "$0" -c "$1"', sys.executable, work]
    ran = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("does not fit: ")


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that answers in place of the probe."""
    script = tmp_path / "child"
    monkeypatch.setattr(sys, "executable", str(script))
    return script


def _says(script: Path, text: str) -> None:
    put(script, f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)


def test_the_answer_is_the_last_line(child: Path) -> None:
    values = dict.fromkeys(("batch", "step", "pictures", "picture_bytes", "before", "peak", "addresses"), 7)
    answer = json.dumps({**values, "device_free": None})
    _says(child, f"cat > {child}.heard; echo some noise; echo '{answer}'")
    found = probe(_request(), 2)
    assert (found.peak, found.device_free) == (7, None)
    heard = json.loads(Path(f"{child}.heard").read_text())
    assert heard["batch"] == 2
    assert heard["request"]["wishes"]["imgsz"] == [64, 96]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("kill -9 $$", DoesNotFitError, "ended by SIGKILL"),
        ('echo \'{"no_memory": "no room for 9 bytes"}\'', DoesNotFitError, "no room for 9 bytes"),
        ("echo 'ImportError: libx.so: Cannot allocate memory' >&2; exit 1", DoesNotFitError, "libx"),
        ("echo 'std::bad_alloc' >&2; exit 3", DoesNotFitError, "bad_alloc"),
        ('echo \'{"error": "DataError", "message": "birds: not here"}\'', DataError, "^birds: not here$"),
        ("echo 'KeyError: 3' >&2; exit 1", RunError, "ended with 1: KeyError: 3; give a number"),
        ("exit 5", RunError, "ended with 5: no message"),
    ],
)
def test_how_a_probe_may_end(child: Path, text: str, error: type[Exception], words: str) -> None:
    _says(child, f"cat > /dev/null; {text}")
    with pytest.raises(error, match=words):
        probe(_request(), 2)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (MemoryError(), {"no_memory": "MemoryError"}),
        (OSError(12, "Cannot allocate memory"), {"no_memory": "[Errno 12] Cannot allocate memory"}),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9\nmore"), None),
        (RunError("data worker 0 was ended by SIGKILL"), {"no_memory": "data worker 0 was ended by SIGKILL"}),
        (RunError("data worker 1 failed:\nMemoryError"), {"no_memory": "data worker 1 failed:\nMemoryError"}),
        (
            RunError("data worker 1 failed:\nKeyError: 3"),
            {"error": "RunError", "message": "data worker 1 failed:\nKeyError: 3"},
        ),
        (DataError("birds"), {"error": "DataError", "message": "birds"}),
    ],
)
def test_what_a_probe_answers(monkeypatch: pytest.MonkeyPatch, error: Exception, answer: dict[str, str] | None) -> None:
    def fails(request: ProbeRequest, batch: int) -> None:
        assert request == _request()
        raise error

    monkeypatch.setattr(batch_probe, "measured", fails)
    asked = json.loads(json.dumps({"request": dataclasses.asdict(_request()), "batch": 2}))
    asked["request"]["wishes"]["imgsz"] = (64, 96)
    expected = {"no_memory": "DefaultCPUAllocator: can't allocate memory: 9"} if answer is None else answer
    assert batch_probe._answer(asked) == expected


def test_a_fault_of_ours_shows_its_trace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(request: ProbeRequest, batch: int) -> None:
        raise KeyError("whoops")

    monkeypatch.setattr(batch_probe, "measured", fails)
    with pytest.raises(SystemExit):
        batch_probe._answer({"request": dataclasses.asdict(_request()), "batch": 2})
    assert "KeyError: 'whoops'" in capsys.readouterr().err


def test_children_count_without_the_pages_they_share(tmp_path: Path) -> None:
    for number, (parent, peak, shared) in {
        11: (7, 900, 300),
        12: (7, 500, 0),
        13: (8, 9000, 0),
        70: (77, 5, 0),
    }.items():
        text = f"Name:\tx\nPPid:\t{parent}\nVmHWM:\t  {peak} kB\nRssShmem:\t  {shared} kB\n"
        put(tmp_path / str(number) / "status", text)
    put(tmp_path / "meminfo", "PPid:\t7\n")
    assert memory_of_children(tmp_path, parent=7) == (600 + 500) * 1024


def test_a_real_child_and_this_process() -> None:
    text = "import sys; x = bytearray(50_000_000); print('ready', flush=True); sys.stdin.read()"
    before = memory_of_children()
    with subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert 50 * MB < memory_of_children() - before < 150 * MB
        assert process.stdin is not None
        process.stdin.close()
    own = own_memory()
    assert 10 * MB < own["VmRSS"] <= own["VmHWM"] <= own["VmPeak"]
