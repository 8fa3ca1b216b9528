"""One fault or peculiarity of a data set, and how a list of them reads in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What is wrong, where, and what to do about it.

    Attributes:
        file: the picture whenever a picture or one of its boxes is concerned, otherwise the label file; relative to
            the data set's folder where it lies inside.
        item: the label file and the annotation in it.
        field: the key, tag or column that holds the value.
        value: the offending value; numbers that JSON cannot hold are text.
        rule: stable name of the rule that was broken, in kebab-case.
        severity: error, warning or info.
        remedy: what to do.
    """

    file: str
    item: str
    field: str
    value: str | int | float | None
    rule: str
    severity: Severity
    remedy: str

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def summary(skipped: Iterable[Finding]) -> str:
    """Say in one line how much was left out and why; empty text for nothing.

    >>> bad = Finding(file="a.jpg", item="a.txt: line 1", field="box", value="nan", rule="box-not-finite",
    ...     severity="error", remedy="draw the box again")
    >>> summary([bad, bad])
    'skipped 2: 2 box-not-finite (first: a.txt: line 1, box = nan)'
    """
    findings = list(skipped)
    if not findings:
        return ""
    first = {finding.rule: finding for finding in reversed(findings)}
    parts = [
        f"{count} {rule} (first: {first[rule].item or first[rule].file}, {first[rule].field} = {first[rule].value})"
        for rule, count in Counter(finding.rule for finding in findings).most_common()
    ]
    return f"skipped {len(findings)}: " + "; ".join(parts)
