"""What the zoo says about one named detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sanderling.models.network import DetectorConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Figures that the authors published, at 80 classes and the entry's own input size."""

    parameters: int
    macs: int
    ap: float
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ZooEntry:
    """A name, how to make its configuration, and what is known about it."""

    name: str
    family: str
    make: Callable[[Sequence[str]], DetectorConfig]
    published: Published | None = None
    unused_parameters: tuple[str, ...] = ()
    """Prefixes of parameters that the published network carries and never uses."""
