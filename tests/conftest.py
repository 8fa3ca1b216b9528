"""One thread for numerical libraries, whatever the machine has: tests share it with each other."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["tests.support.command_line"]
