from __future__ import annotations

import logging

import pytest

from sanderling.commands.memory_budget import asked_memory, budget
from sanderling.errors import UsageError
from sanderling.memory import Memory

GB = 10**9


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4 * GB),
        ("4 gb", 4 * GB),
        ("4G", 4 * GB),
        ("1.5GiB", 3 * 2**29),
        ("3500MB", 3_500_000_000),
        ("800Mi", 800 * 2**20),
        ("123456", 123_456),
        ("2kib", 2048),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert asked_memory(text).size == size


@pytest.mark.parametrize("text", ["", "GB", "-4GB", "4 litres", "0GB", "4,5GB", "auto"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match=r"memory = .*: a size is expected, such as 4GB"):
        asked_memory(text)


def test_what_is_asked_for_is_taken_where_there_is_as_much(caplog: pytest.LogCaptureFixture) -> None:
    free = Memory(size=5 * GB, reason="this machine has free")
    asked = asked_memory("4.9GB")
    with caplog.at_level(logging.WARNING):
        assert budget(asked, free) is asked
        assert not caplog.records
        assert budget(asked_memory("6GB"), free).size == 4 * GB
    assert "6.00 GB (--memory 6GB) is more than there is" in caplog.text
    assert str(budget(None, free)) == "4.00 GB (80% of the 5.00 GB that this machine has free)"
