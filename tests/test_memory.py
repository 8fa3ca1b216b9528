from __future__ import annotations

import resource
from pathlib import Path

import pytest

from sanderling import memory
from sanderling.errors import UsageError
from sanderling.memory import Memory, address_space_left, available_memory, in_words
from tests.support.small_sets import put

GB = 10**9


@pytest.fixture(autouse=True)
def no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have one."""
    monkeypatch.setattr(memory, "address_space_limit", lambda: None)


def _machine(root: Path, available_kb: int, cgroup: str = "") -> Path:
    put(root / "proc/meminfo", f"MemTotal:  99999999 kB\nMemFree:  5 kB\nMemAvailable:  {available_kb} kB\n")
    put(root / "proc/self/cgroup", cgroup)
    return root


def test_of_a_machine_without_groups(tmp_path: Path) -> None:
    found = available_memory(_machine(tmp_path, 2_000_000))
    assert found == Memory(size=2_048_000_000, reason="this machine has free")


def _group(folder: Path, limit: object, used: int, cached: int, *, version: int) -> None:
    names = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        2: ("memory.max", "memory.current", "inactive_file"),
    }[version]
    put(folder / names[0], f"{limit}\n")
    put(folder / names[1], f"{used}\n")
    put(folder / "memory.stat", f"anon 5\n{names[2]} {cached}\nother 7\n")


def test_the_tightest_group_counts_and_its_cache_is_free(tmp_path: Path) -> None:
    root = _machine(tmp_path, 90_000_000, "0::/shop/job\n")
    groups = root / "sys/fs/cgroup"
    _group(groups / "shop", 6 * GB, 4 * GB, GB, version=2)
    _group(groups / "shop/job", "max", GB, 0, version=2)
    assert available_memory(root) == Memory(size=3 * GB, reason="the control group leaves")


def test_groups_of_the_first_version_and_paths_of_the_host(tmp_path: Path) -> None:
    root = _machine(tmp_path, 90_000_000, "5:cpu:/host/7\n4:cpuset,memory:/host/7\n0::/\n")
    _group(root / "sys/fs/cgroup/memory", 2 * GB, GB, 0, version=1)
    assert available_memory(root).size == GB
    # Full to the brim is nothing left, not a debt.
    _group(root / "sys/fs/cgroup/memory", 2 * GB, 3 * GB, 0, version=1)
    assert available_memory(root).size == 0


def test_a_limit_of_addresses_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "address_space_limit", lambda: 3 * GB)
    assert available_memory(_machine(tmp_path, 90_000_000)) == Memory(size=3 * GB, reason="ulimit -v allows")


def test_the_limit_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    limits = {resource.RLIM_INFINITY: None, 6 * GB: 6 * GB}
    for soft, expected in limits.items():
        monkeypatch.setattr(resource, "getrlimit", lambda what, soft=soft: (soft, resource.RLIM_INFINITY))
        assert memory.address_space_limit() == expected


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"/proc/meminfo cannot be read"):
        available_memory(tmp_path)


def test_this_machine_tells() -> None:
    assert 10**7 < available_memory().size < 10**15


def test_the_addresses_that_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert address_space_left(tmp_path) is None
    monkeypatch.setattr(memory, "address_space_limit", lambda: 3 * GB)
    assert address_space_left(tmp_path) == 3 * GB
    put(tmp_path / "proc/self/statm", "1000 300 200 100 0 50 0\n")
    assert address_space_left(tmp_path) == 3 * GB - 1000 * resource.getpagesize()
    put(tmp_path / "proc/self/statm", f"{4 * GB} 300 200 100 0 50 0\n")
    assert address_space_left(tmp_path) == 0
    left = address_space_left()
    assert left is not None
    assert left < 3 * GB  # this process has taken some


def test_sizes_in_words() -> None:
    assert [in_words(size) for size in (999_400_000, 1_000_000_000, 12_345_000_000)] == [
        "999 MB",
        "1.00 GB",
        "12.35 GB",
    ]
