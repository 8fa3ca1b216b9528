"""What an untrained head says: almost no point holds an object, so a score begins at 0.01."""

from __future__ import annotations

import math

_SCORE = 0.01

PRIOR_LOGIT = -math.log((1 - _SCORE) / _SCORE)
"""The logit of 0.01, as NanoDet has it."""
ROUNDED_PRIOR_LOGIT = -4.595
"""The same as it is often printed; weights that were drawn with it stay what they were."""
