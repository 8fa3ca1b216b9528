"""VOC's average precision at IoU 0.5: the 11-point form of 2007 and the area under the whole curve of 2010.

The PASCAL Visual Object Classes Challenge, https://doi.org/10.1007/s11263-009-0275-4. Which detection finds which
object is the business of `matching`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TENTHS = np.arange(11)


def average_precisions(hits: NDArray[np.bool_], objects: int) -> tuple[float | None, float | None]:
    """Average precision of one class, by eleven points and by the whole curve.

    Args:
        hits: for each detection that counts, best first, whether it found an object.
        objects: how many there are to find.

    Returns:
        Two fractions, None where there is no object.

    >>> eleven, area = average_precisions(np.array([True, False, True]), 2)
    >>> round(eleven, 4), round(area, 4)
    (0.8485, 0.8333)
    """
    if not objects:
        return None, None
    if not hits.any():
        return 0.0, 0.0
    # Only where an object is found does recall rise; between, precision only falls.
    at_find = np.flatnonzero(hits)
    found = np.arange(1, len(at_find) + 1)
    precision = found / (at_find + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    # Finds needed for recalls 0, 0.1 ... 1, in whole numbers: as a fraction 0.3 is not 3 * 0.1.
    needed = np.maximum(-(-_TENTHS * objects // 10), 1)
    reached = needed[needed <= len(envelope)]
    return float(envelope[reached - 1].sum() / len(_TENTHS)), float(envelope.sum() / objects)
