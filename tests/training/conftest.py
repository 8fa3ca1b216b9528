from __future__ import annotations

from typing import Any

import pytest

from tests.support.two_processes import in_two_processes
from tests.training.two_process_work import everything


@pytest.fixture(scope="session")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two connected processes found out, by rank; started once, as each has to import torch."""
    return in_two_processes(everything, tmp_path_factory.mktemp("two"))
