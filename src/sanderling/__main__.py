"""`python -m sanderling`: the command line, and what torchrun starts."""

from __future__ import annotations

import sys

from sanderling.cli import main

if __name__ == "__main__":
    sys.exit(main())
