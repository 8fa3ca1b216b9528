"""Sanderling: from labelled pictures to a measured object detector on a small device.

The public names are resolved on first use, so that `import sanderling` imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Detector": "sanderling.detector",
    "Detections": "sanderling.structures.detections",
    "Sample": "sanderling.structures.sample",
    "SanderlingError": "sanderling.errors",
}

__all__ = ["Detections", "Detector", "Sample", "SanderlingError", "__version__"]

if TYPE_CHECKING:
    from sanderling.detector import Detector
    from sanderling.errors import SanderlingError
    from sanderling.structures.detections import Detections
    from sanderling.structures.sample import Sample


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sanderling' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
