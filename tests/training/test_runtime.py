from __future__ import annotations

import dataclasses
import os
import shutil
from typing import Any

import pytest
import torch
from torch import nn

from sanderling.errors import MissingDependencyError, UsageError
from sanderling.training.runtime import Runtime, RuntimeConfig
from tests.support.training import CPU, cpu_runtime, random_batch


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def _cores(monkeypatch: pytest.MonkeyPatch, count: int, *, processes: int = 1) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(count)))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("cores", "processes", "threads", "workers"), [(1, 1, 1, 0), (2, 1, 2, 0), (2, 2, 1, 0), (8, 1, 8, 4), (8, 2, 4, 2)]
)
def test_automatic_values_are_decided(
    monkeypatch: pytest.MonkeyPatch, cores: int, processes: int, threads: int, workers: int
) -> None:
    _cores(monkeypatch, cores, processes=processes)
    resolved = RuntimeConfig().resolved()
    assert (resolved.device, resolved.threads, resolved.workers) == ("cpu", threads, workers)
    assert resolved.precision in ("float32", "bfloat16")
    assert resolved.resolved() == resolved


def test_a_process_knows_how_many_are_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert (Runtime(CPU).world, Runtime(CPU).local_world) == (1, 1)
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert Runtime(CPU).local_world == 8  # whoever started them did not say that there are more machines
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert (Runtime(CPU).world, Runtime(CPU).local_world) == (8, 2)


@pytest.mark.usefixtures("no_gpu")
def test_what_is_given_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    given = RuntimeConfig(
        device="cpu", threads=3, workers=5, precision="float32", channels_last=False, compile=True, sync_batchnorm=True
    )
    assert given.resolved() == given


@pytest.mark.usefixtures("no_gpu")
def test_compiling_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "c++-99")
    with pytest.raises(MissingDependencyError, match=r"needs a C\+\+ compiler, and there is no 'c\+\+-99'"):
        RuntimeConfig(compile=True).resolved()
    assert not RuntimeConfig().resolved().compile


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("gpu", "no device is named so; use cpu, cuda or cuda:NUMBER"),
        ("cuda", "this machine has no usable GPU; use cpu"),
        ("1", "this machine has no usable GPU; use cpu"),
        ("meta", "training runs on cpu, cuda or cuda:NUMBER only"),
    ],
)
def test_a_device_that_is_not_there(device: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"device = '{device}': {words}"):
        RuntimeConfig(device=device).resolved()


def test_a_gpu_number_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UsageError, match="device = '2': this machine has 2 GPUs"):
        RuntimeConfig(device="2", precision="float32").resolved()
    assert RuntimeConfig(device="1", precision="float32").resolved().device == "cuda:1"


def test_every_process_needs_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    _cores(monkeypatch, 8, processes=2)
    assert RuntimeConfig(device="cuda", precision="float32").resolved().device == "cuda"
    _cores(monkeypatch, 8, processes=3)
    with pytest.raises(UsageError, match="device = 'cuda': 3 processes share 2 GPUs"):
        RuntimeConfig(device="cuda", precision="float32").resolved()


def test_threads_are_set_and_given_back() -> None:
    before = torch.get_num_threads()
    with Runtime(RuntimeConfig(device="cpu", threads=before + 1)) as runtime:
        assert torch.get_num_threads() == before + 1
        assert (runtime.rank, runtime.world, runtime.is_main) == (0, 1, True)
    assert torch.get_num_threads() == before


def test_channels_last_for_weights_and_pictures() -> None:
    runtime = cpu_runtime()
    convolution = runtime.place(nn.Conv2d(3, 8, 3))
    weight = convolution.get_parameter("weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    batch = random_batch(3)
    brought = runtime.bring(batch)
    assert brought.images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(brought.images, batch.images)
    assert brought.picture_ids == batch.picture_ids


def test_without_channels_last_the_loaders_pictures_are_laid_out_anew() -> None:
    loaded = random_batch(3)
    loaded = dataclasses.replace(loaded, images=loaded.images.contiguous(memory_format=torch.channels_last))
    brought = Runtime(dataclasses.replace(CPU, channels_last=False)).bring(loaded)
    assert brought.images.is_contiguous()
    assert torch.equal(brought.images, loaded.images)


def test_autocast_follows_the_precision() -> None:
    left, right = torch.ones(2, 2), torch.ones(2, 2)
    with Runtime(RuntimeConfig(device="cpu", threads=1, precision="bfloat16")).autocast():
        assert (left @ right).dtype == torch.bfloat16
    with Runtime(CPU).autocast():
        assert (left @ right).dtype == torch.float32


def test_alone_nothing_is_wrapped_or_gathered() -> None:
    runtime, module = cpu_runtime(), nn.Linear(1, 1)
    assert runtime.distribute(module) is module
    assert runtime.gather("x") == ["x"]
    runtime.share_buffers(module)
    with runtime.without_averaging(module, active=True):
        pass


def test_two_processes_exchange_values_and_buffers(two_processes: list[dict[str, Any]]) -> None:
    assert [found["gathered"] for found in two_processes] == [[{"rank": 0}, {"rank": 1}]] * 2
    assert [found["is_main"] for found in two_processes] == [True, False]
    assert two_processes[0]["shared"] == two_processes[1]["shared"] == [2.0, 2.0, 1.0]
