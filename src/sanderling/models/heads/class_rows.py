"""Where the classes stand among the rows of an output: what tells weights for other classes apart from a misfit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassRows:
    """`start` rows, then `groups` times: `before` rows, one row per class, `after` rows.

    A head names its outputs that depend on the classes in `class_rows`: a mapping from the name of a module or
    parameter inside the head to its rows.
    """

    start: int = 0
    groups: int = 1
    before: int = 0
    after: int = 0

    def classes(self, rows: int) -> int | None:
        """Classes of an output with so many rows; None where no number of classes gives that many."""
        per_group, rest = divmod(rows - self.start, self.groups)
        classes = per_group - self.before - self.after
        return classes if rest == 0 and classes > 0 else None

    def kept(self, rows: int) -> Tensor:
        """Which of the rows belong to no class: bool (rows)."""
        classes = self.classes(rows)
        if classes is None:
            raise ValueError(f"{rows} rows do not fit {self}")
        group = [True] * self.before + [False] * classes + [True] * self.after
        return torch.tensor([True] * self.start + group * self.groups)
