from __future__ import annotations

import json

from sanderling.datasets.finding import Finding, summary
from sanderling.datasets.rules import found


def finding(rule: str, item: str = "a.txt: line 1") -> Finding:
    return found(rule, file="a.jpg", item=item, field="box", value="nan")


def test_plain_has_the_fields_of_the_contract() -> None:
    plain = finding("box-not-finite").to_plain()
    assert list(plain) == ["file", "item", "field", "value", "rule", "severity", "remedy"]
    assert json.loads(json.dumps(plain)) == plain


def test_summary_counts_by_rule_and_shows_the_first() -> None:
    text = summary([finding("box-zero-area", "b"), finding("box-outside", "c"), finding("box-zero-area", "d")])
    assert text == "skipped 3: 2 box-zero-area (first: b, box = nan); 1 box-outside (first: c, box = nan)"
    assert summary([]) == ""
