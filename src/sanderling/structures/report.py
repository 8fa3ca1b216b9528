"""The result of an evaluation: metrics with the protocol they were measured by."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassReport:
    """One class. Metrics are fractions 0..1; None where nothing could be measured (no objects of the class)."""

    name: str
    objects: int
    detections: int
    AP: float | None = None
    AP50: float | None = None
    AP_voc07: float | None = None
    AP_voc: float | None = None
    threshold: float | None = None
    """Score threshold that the three figures below belong to."""
    false_alarms_per_picture: float | None = None
    miss_rate: float | None = None
    precision: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Metrics of one detector on one split.

    Attributes:
        metrics: name to fraction (`AP`, `AP50`, `AP75`, `AP_small`, `AP_medium`, `AP_large`, `AR_1`, `AR_10`,
            `AR_100`, `AR_small`, `AR_medium`, `AR_large`, `AP50_voc07`, `AP50_voc`), None where not measured.
        per_class: one entry per class, in the data set's order.
        protocol: how the numbers came about, for people: evaluator, IoU range, detections per picture, resize.
        counts: pictures, objects, detections, unreadable pictures and the like.
        timings: seconds per stage (`predict_s`, `evaluate_s`).
        model: what was measured.
        data: the data set and split.
    """

    metrics: dict[str, float | None]
    per_class: tuple[ClassReport, ...]
    protocol: str
    counts: dict[str, int] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    model: str = ""
    data: str = ""

    def to_plain(self) -> dict[str, Any]:
        """Plain values with the metrics at the top level; what was not measured is None, never NaN or -1."""
        body = asdict(self)
        metrics = body.pop("metrics")
        return _without_nan({**metrics, **body})

    def to_json(self) -> str:
        """`to_plain` as JSON text."""
        return json.dumps(self.to_plain(), indent=1)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Report:
        """Read back what `to_plain` wrote."""
        rest = dict(plain)
        described = {
            name: rest.pop(name) for name in ("protocol", "counts", "timings", "model", "data") if name in rest
        }
        per_class = tuple(ClassReport(**entry) for entry in rest.pop("per_class"))
        return cls(metrics=rest, per_class=per_class, **described)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
