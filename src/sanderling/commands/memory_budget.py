"""How much memory a training may hold: what was asked for, or a share of what this process can have."""

from __future__ import annotations

import logging
import re
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sanderling.errors import UsageError

logger = logging.getLogger(__name__)

_SHARE = 0.8
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", re.IGNORECASE)


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


def asked_memory(text: str) -> Memory:
    """Read `4GB` (10**9 bytes each) or `4GiB` (2**30).

    Raises:
        UsageError: it is no size.

    >>> asked_memory("4GB").size
    4000000000
    """
    found = _SIZE.fullmatch(text.strip())
    size = int(float(found[1]) * _UNITS[(found[2] or "").lower()]) if found else 0
    if size < 1:
        raise UsageError(f"memory = {text!r}: a size is expected, such as 4GB or 3500MB")
    return Memory(size=size, reason=f"--memory {text.strip()}")


def budget(asked: Memory | None, free: Memory) -> Memory:
    """What was asked for, where there is as much; else most of what is free, as others live here too."""
    if asked is not None and asked.size <= free.size:
        return asked
    share = Memory(size=int(_SHARE * free.size), reason=f"{_SHARE:.0%} of the {in_words(free.size)} that {free.reason}")
    if asked is not None:
        logger.warning("%s is more than there is; the budget is %s", asked, share)
    return share


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
        raise UsageError("this system does not tell how much memory is free: /proc/meminfo cannot be read")
    return min(left, key=lambda memory: memory.size)


def address_space_limit() -> int | None:
    """Bytes of addresses that `ulimit -v` leaves to each process, None without a limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


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
