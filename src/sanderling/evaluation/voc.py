"""VOC's average precision at IoU 0.5: the 11-point form of 2007 and the area under the whole curve of 2010.

The PASCAL Visual Object Classes Challenge, https://doi.org/10.1007/s11263-009-0275-4. Which detection finds which
object is the business of `matching`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# The development kit's own grid; 0.1 * k would round some points above the recall that should reach them.
_ELEVEN = np.linspace(0, 1, 11)


def average_precisions(hits: NDArray[np.bool_], objects: int) -> tuple[float | None, float | None]:
    """Average precision of one class, by eleven points and by the whole curve.

    Args:
        hits: for each detection that counts, best first, whether it found an object.
        objects: how many there are to find.

    Returns:
        Two fractions, None where there is no object.

    >>> average_precisions(np.array([True, False, True]), 2)
    (0.8485, 0.8333)
    """
    if not objects:
        return None, None
    if not hits.any():
        return 0.0, 0.0
    true = np.cumsum(hits)
    # Only where an object is found does recall rise; between, precision only falls.
    at_find = np.flatnonzero(hits)
    precision = true[at_find] / (at_find + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    recall = true[at_find] / objects
    reached = np.searchsorted(recall, _ELEVEN, side="left")
    eleven = float(np.where(reached < len(envelope), envelope[np.minimum(reached, len(envelope) - 1)], 0).mean())
    return eleven, float(envelope.sum() / objects)
