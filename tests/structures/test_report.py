from __future__ import annotations

import json
import math

import pytest

from sanderling.structures.report import ClassReport, Report

REPORT = Report(
    metrics={"AP": 0.231, "AP50": 0.5, "AP_small": None},
    per_class=(
        ClassReport(name="fire", objects=3, detections=5, AP=0.25, threshold=0.4, miss_rate=0.0),
        ClassReport(name="smoke", objects=0, detections=0),
    ),
    protocol="by hand",
    counts={"pictures": 2},
    timings={"predict_s": 1.5},
    model="m.onnx",
    data="birds val",
)


def test_metrics_stand_at_the_top_of_the_json_beside_the_rest() -> None:
    plain = json.loads(REPORT.to_json())
    assert plain["AP"] == 0.231
    assert plain["AP_small"] is None
    assert plain["per_class"][0]["AP"] == 0.25
    assert plain["per_class"][1]["AP"] is None
    assert plain["counts"] == {"pictures": 2}
    assert (plain["model"], plain["data"], plain["protocol"]) == ("m.onnx", "birds val", "by hand")


def test_json_reads_back_the_same() -> None:
    assert Report.from_plain(json.loads(REPORT.to_json())) == REPORT


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_becomes_null(bad: float) -> None:
    report = Report(
        metrics={"AP": bad},
        per_class=(ClassReport(name="fire", objects=1, detections=1, precision=bad),),
        protocol="",
        timings={"predict_s": bad},
    )
    plain = json.loads(report.to_json(), parse_constant=pytest.fail)
    assert plain["AP"] is None
    assert plain["per_class"][0]["precision"] is None
    assert plain["timings"]["predict_s"] is None
