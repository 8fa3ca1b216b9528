"""Whether the tensors of a file are those of a network, and which are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

_SHOWN = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """Keys of the network that the file lacks, keys of the file that the network lacks, keys whose shapes differ."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]
    """Each as `name (theirs, ours expected)`."""

    @property
    def complete(self) -> bool:
        """The network gets every one of its tensors."""
        return not self.missing and not self.misshapen

    @property
    def exact(self) -> bool:
        """Complete, and nothing of the file is left over."""
        return self.complete and not self.unexpected

    def __str__(self) -> str:
        """One line for people, long lists cut."""
        kinds = (("missing", self.missing), ("of another shape", self.misshapen), ("unexpected", self.unexpected))
        return "; ".join(f"{len(keys)} {kind}: {listed(keys)}" for kind, keys in kinds if keys) or "everything fits"


def compare(network: Mapping[str, Tensor], file: Mapping[str, Tensor]) -> Fit:
    """Compare names and shapes. BatchNorm's step counters may be missing: old files have none, nothing reads them."""
    return Fit(
        missing=tuple(name for name in network if name not in file and not name.endswith(".num_batches_tracked")),
        unexpected=tuple(name for name in file if name not in network),
        misshapen=tuple(
            f"{name} ({_shape(file[name])}, {_shape(tensor)} expected)"
            for name, tensor in network.items()
            if name in file and file[name].shape != tensor.shape
        ),
    )


def listed(keys: Sequence[str]) -> str:
    """The first keys, and how many more there are."""
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def _shape(tensor: Tensor) -> str:
    return "x".join(str(side) for side in tensor.shape) or "scalar"
