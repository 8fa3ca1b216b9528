"""The real inputs that lie beside the project: found, or the test is skipped with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[3] / "shared"


def shared_path(relative: str) -> Path:
    """A file or folder of the real inputs, from `$SANDERLING_SHARED`, else from `../shared`."""
    root = Path(os.environ.get("SANDERLING_SHARED", _BESIDE))
    path = root / relative
    if not path.exists():
        pytest.skip(f"{path} is not here; set SANDERLING_SHARED to the folder of real inputs to run this test")
    return path
