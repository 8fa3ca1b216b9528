"""Two gloo processes on this machine, and what they found out, by rank."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist
from torch import multiprocessing


def in_two_processes(work: Callable[[int], dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Run a module's function in two processes that are connected; give what each returned.

    Args:
        work: takes the rank; importable by name; returns plain values and tensors.
        folder: an empty one, for the meeting point and the results.
    """
    multiprocessing.spawn(_enter, args=(work, folder), nprocs=2)  # type: ignore[attr-defined]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def _enter(rank: int, work: Callable[[int], dict[str, Any]], folder: Path) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    try:
        torch.save(work(rank), folder / f"{rank}.pt")
    finally:
        dist.destroy_process_group()
