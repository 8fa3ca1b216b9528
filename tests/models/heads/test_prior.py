from __future__ import annotations

import math

import pytest

from sanderling.models.heads.prior import PRIOR_LOGIT, ROUNDED_PRIOR_LOGIT


def test_a_score_begins_at_one_in_a_hundred() -> None:
    assert 1 / (1 + math.exp(-PRIOR_LOGIT)) == pytest.approx(0.01, rel=1e-12)
    assert round(PRIOR_LOGIT, 3) == ROUNDED_PRIOR_LOGIT
