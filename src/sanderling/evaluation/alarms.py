"""What a field team asks: how often a class alarms falsely, what it misses, and where to set its threshold.

A false alarm is a detection of at least the threshold that finds no object by the rule of `matching` (IoU 0.5); what
falls on a difficult object or into a crowd region is none. A miss is an object that no such detection finds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarms:
    """One class at one threshold; None where nothing can be said.

    Attributes:
        threshold: detections that score at least this alarm; None where there is no detection to set it by.
        false_alarms_per_picture: of this class, over all pictures of the split.
        miss_rate: share of the objects that is not found.
        precision: share of the alarms that are true.
    """

    threshold: float | None
    false_alarms_per_picture: float | None
    miss_rate: float | None
    precision: float | None


def alarms_at(
    scores: NDArray[np.float64], hits: NDArray[np.bool_], *, objects: int, pictures: int, threshold: float | None
) -> Alarms:
    """Count alarms at a threshold.

    Args:
        scores: of the detections of one class that count, best first.
        hits: which of them found an object.
        objects: objects of the class.
        pictures: pictures of the split.
        threshold: None takes every detection.
    """
    alarms = len(scores) if threshold is None else int(np.count_nonzero(scores >= threshold))
    true = int(np.count_nonzero(hits[:alarms]))
    return Alarms(
        threshold=threshold,
        false_alarms_per_picture=(alarms - true) / pictures if pictures else None,
        miss_rate=1 - true / objects if objects else None,
        precision=true / alarms if alarms else None,
    )


def threshold_for(
    scores: NDArray[np.float64], hits: NDArray[np.bool_], *, pictures: int, false_alarm_rate: float
) -> float | None:
    """The lowest score at which a class gives at most so many false alarms per picture.

    Args:
        scores: of the detections of one class that count, best first.
        hits: which of them found an object.
        pictures: pictures of the split.
        false_alarm_rate: wanted false alarms of this class per picture, at most.

    Returns:
        The score of one of the detections; just above the best one where already that is too many; None where the class
        has no detection.
    """
    if not len(scores):
        return None
    # A threshold takes all detections of one score or none, so only the last of equal scores can be the border.
    ends = np.flatnonzero(np.append(scores[1:] < scores[:-1], True))
    false = np.cumsum(~hits)[ends]
    allowed = int(np.searchsorted(false, false_alarm_rate * pictures + 1e-9, side="right"))
    if not allowed:
        return float(np.nextafter(np.float32(scores[0]), np.float32(np.inf)))
    return float(scores[ends[allowed - 1]])
