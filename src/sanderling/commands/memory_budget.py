"""How much memory a training may hold: what was asked for, or a share of what this process can have."""

from __future__ import annotations

import logging
import re

from sanderling.errors import UsageError
from sanderling.memory import Memory, in_words

logger = logging.getLogger(__name__)

_SHARE = 0.8
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", re.IGNORECASE)


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
