"""Where and how a training runs: device, processes, threads, number format, memory layout."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import distributed as dist
from torch import nn

from sanderling.data.picture_cache import CacheConfig
from sanderling.errors import MissingDependencyError, UsageError
from sanderling.structures.batch import Batch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeConfig:
    """What may be chosen about the machine. `auto` and None are resolved when a run starts and recorded so."""

    device: str = "auto"
    """`cpu`, `cuda`, `cuda:1`; auto takes the GPU where there is one."""
    threads: Annotated[int, Field(gt=0)] | None = None
    """Threads of each process on the processor; None shares the usable cores between the processes."""
    workers: Annotated[int, Field(ge=0)] | None = None
    """Processes that load pictures for each training process; None: none on two cores, else some."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Numbers of the network's activations; auto takes bfloat16 where the hardware computes in it."""
    channels_last: bool = True
    """Keep the channels of a pixel side by side: up to 70 % faster with depthwise convolutions, also on processors."""
    compile: bool = False
    """Let torch.compile fuse the network: slow to start, faster afterwards."""
    cache: CacheConfig | None = None
    """Keep decoded pictures from one epoch to the next."""
    sync_batchnorm: bool = False
    """In runs of several processes, normalise over the joined batch."""

    def resolved(self) -> RuntimeConfig:
        """The same with everything automatic decided for this machine.

        Raises:
            UsageError: a device that this machine does not have.
            MissingDependencyError: `compile` on the processor without a C++ compiler.
        """
        processes = _processes_here()
        device = _usable_device(self.device, processes)
        kind = torch.device(device).type
        if self.compile and kind == "cpu":
            _require_compiler()
        cores = len(os.sched_getaffinity(0))
        threads = self.threads or max(1, cores // processes)
        workers = self.workers
        if workers is None:
            workers = 0 if cores <= 2 else min(8, max(1, cores // processes - (1 if kind == "cuda" else threads // 2)))
        precision = self.precision
        if precision == "auto":
            precision = "bfloat16" if _computes_bfloat16(kind) else "float32"
        return dataclasses.replace(self, device=device, threads=threads, workers=workers, precision=precision)


class Runtime:
    """This process's place in a run. Use it as a context: it joins the other processes and leaves them again.

    Args:
        config: resolved.

    Attributes:
        rank: number of this process.
        world: how many processes train together.
        local_world: how many of them on this machine.
    """

    def __init__(self, config: RuntimeConfig) -> None:
        self.config = config
        self.rank, self.world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.local_world = _processes_here()
        self._local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self.device = torch.device(config.device)
        if self.device.type == "cuda" and self.world > 1:
            self.device = torch.device("cuda", self._local_rank)

    def __enter__(self) -> Runtime:
        _keep_freed_memory()
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(self.config.threads or 1)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.world > 1:
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        return self

    def __exit__(self, *error: object) -> None:
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()
        torch.set_num_threads(self._threads_before)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def place(self, module: nn.Module) -> nn.Module:
        """Bring a module to the device and into the memory layout."""
        module.to(self.device)
        if self.config.channels_last:
            module.to(memory_format=torch.channels_last)
        return module

    def distribute(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that gradients are averaged over processes; itself in a run of one."""
        if self.world == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=ids)

    def bring(self, batch: Batch) -> Batch:
        """A batch on the device, in the memory layout."""
        # The loader's batches are channels_last, and a network follows the layout of its input.
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        moved = batch.to(self.device)
        return dataclasses.replace(moved, images=moved.images.contiguous(memory_format=layout))

    def autocast(self) -> AbstractContextManager[Any]:
        """The number format of a forward pass."""
        if self.config.precision == "bfloat16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def without_averaging(self, module: nn.Module, *, active: bool) -> Iterator[None]:
        """Gather gradients without averaging them yet, where several batches make one step."""
        if active and isinstance(module, nn.parallel.DistributedDataParallel):
            with module.no_sync():
                yield
        else:
            yield

    def share_buffers(self, *modules: nn.Module) -> None:
        """Give every process the buffers of the first: BatchNorm statistics that each took from its own pictures."""
        if self.world > 1:
            for buffer in itertools.chain.from_iterable(module.buffers() for module in modules):
                dist.broadcast(buffer, 0)

    def gather(self, value: Any) -> list[Any]:
        """One value of each process, in order of rank, in every process."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values


def _keep_freed_memory() -> None:
    """Let the C library keep large blocks that torch frees instead of giving them back to the system each time.

    A training step frees and takes the same hundreds of megabytes; fetched anew as zeroed pages, they cost a fifth of
    the step on a processor. Only glibc has this switch.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def _processes_here() -> int:
    """Training processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1")))


def _usable_device(wish: str, processes: int) -> str:
    """A device that this machine has, one for each process."""
    if wish == "auto":
        wish = "cuda" if torch.cuda.is_available() else "cpu"
    device = f"cuda:{wish}" if wish.isdigit() else wish
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise UsageError(f"device = {wish!r}: no device is named so; use cpu, cuda or cuda:NUMBER") from None
    if kind not in ("cpu", "cuda"):
        raise UsageError(f"device = {wish!r}: training runs on cpu, cuda or cuda:NUMBER only")
    if kind == "cpu":
        return device
    if not torch.cuda.is_available():
        raise UsageError(f"device = {wish!r}: this machine has no usable GPU; use cpu")
    count = torch.cuda.device_count()
    if (torch.device(device).index or 0) >= count:
        raise UsageError(f"device = {wish!r}: this machine has {count} GPUs, from cuda:0")
    if processes > count:
        raise UsageError(
            f"device = {wish!r}: {processes} processes share {count} GPUs, and each needs its own; start torchrun with "
            "a smaller --nproc-per-node, or use cpu"
        )
    return device


def _require_compiler() -> None:
    """Stop before a run starts that torch.compile cannot serve: on the processor it writes C++."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise MissingDependencyError(
            f"compile = true needs a C++ compiler, and there is no {compiler!r}; install it (apt-get install g++), "
            "name another one in the environment variable CXX, or leave compile out"
        )


def _computes_bfloat16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="ignore") as file:  # noqa: PTH123 - not a user's path
            flags = file.read()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
