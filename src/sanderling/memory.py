"""How much memory this process can have, by the machine, its control groups and its limits. No torch."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sanderling.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Bytes, and in words where they come from.

    >>> str(Memory(size=4_000_000_000, reason="--memory 4GB"))
    '4.00 GB (--memory 4GB)'
    """

    size: int
    reason: str

    def __str__(self) -> str:
        return f"{in_words(self.size)} ({self.reason})"


def available_memory(system: Path = Path("/")) -> Memory:
    """The least of what the machine, the control group and `ulimit -v` leave to this process.

    Args:
        system: where `/proc` and `/sys` lie.

    Raises:
        UsageError: the system does not tell.
    """
    left = [*_left_on_machine(system), *_left_in_group(system)]
    limit = address_space_limit()
    if limit is not None:
        left.append(Memory(size=limit, reason="ulimit -v allows"))
    if not left:
        raise UsageError(
            "this system does not tell how much memory is free: /proc/meminfo cannot be read; say how much may be used "
            "(--memory, or runtime.cache.gigabytes)"
        )
    return min(left, key=lambda memory: memory.size)


def address_space_limit() -> int | None:
    """Bytes of addresses that `ulimit -v` leaves to each process, None without a limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def address_space_left(system: Path = Path("/")) -> int | None:
    """Bytes of addresses that this process can still take, None without a limit. Files that are mapped take some too.

    Args:
        system: where `/proc` lies.
    """
    limit = address_space_limit()
    if limit is None:
        return None
    taken = "".join(_lines(system / "proc/self/statm")).split() or ["0"]
    return max(0, limit - int(taken[0]) * resource.getpagesize())


def in_words(size: float) -> str:
    """Bytes for people.

    >>> in_words(61_300_000), in_words(3.25e9)
    ('61 MB', '3.25 GB')
    """
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _left_on_machine(system: Path) -> Iterator[Memory]:
    for line in _lines(system / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield Memory(size=int(line.split()[1]) * 1024, reason="this machine has free")


def _left_in_group(system: Path) -> Iterator[Memory]:
    """The limits of every control group that this process is in, in both versions, less what is in use."""
    for line in _lines(system / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, files = system / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = system / "sys/fs/cgroup/memory"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # In a container the path may be the host's, so that only some of the folders exist here.
        folder = root / path.strip().lstrip("/")
        for group in [folder, *folder.parents]:
            left = _left_in(group, *files)
            if left is not None:
                yield Memory(size=left, reason="the control group leaves")
            if group == root:
                break


def _left_in(group: Path, limit_file: str, used_file: str, cache: str) -> int | None:
    limit, used = _number(group / limit_file), _number(group / used_file)
    if limit is None or used is None:
        return None
    # Cached files go when somebody needs their room.
    words = [line.split() for line in _lines(group / "memory.stat")]
    cached = next((int(word[1]) for word in words if word[0] == cache), 0)
    return max(0, limit - used + cached)


def _number(file: Path) -> int | None:
    text = "".join(_lines(file)).strip()
    return int(text) if text.isdecimal() else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
