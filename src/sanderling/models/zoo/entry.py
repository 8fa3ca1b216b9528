"""What the zoo says about one named detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sanderling.models.network import DetectorConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Figures that the authors published, or that a sheet counts, at the entry's own input size.

    Sheets are what Sanderling was written from; their counts were made on the official networks.
    """

    source: str
    """Where the figures stand: paper and table, or document and section."""
    parameters: float | None = None
    parameters_step: float = 1
    """One unit of the last printed digit: 1 for an exact count, 10_000 for one printed as 0.95 M."""
    macs: float | None = None
    """Multiply-adds; figures in other units are converted, and `note` says from what."""
    macs_step: float = 1
    """One unit of the last printed digit of `macs`."""
    ap: float | None = None
    """COCO AP, a fraction."""
    ap50: float | None = None
    """AP at IoU 0.5, a fraction, for those who publish no other."""
    note: str = ""
    """Units that were converted, what deviates and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ZooEntry:
    """A name, how to make its configuration, and what is known about it."""

    name: str
    family: str
    make: Callable[[Sequence[str]], DetectorConfig]
    published: Published | None = None
    unused_parameters: tuple[str, ...] = ()
    """Prefixes of parameters that the published network carries and never uses; they are counted."""
    uncounted_parameters: tuple[str, ...] = ()
    """Prefixes of parameters that the published count leaves out."""
    counts_norms: bool = True
    """The published count includes BatchNorm's scales and shifts."""
    counts_statistics: bool = False
    """The published count includes BatchNorm's running statistics."""
    counted_classes: int = 80
    """Number of classes that the published counts are for."""
    pretrained: tuple[str, ...] = ()
    """Data whose published weights of the whole detector `weights import` reads: `coco`."""
