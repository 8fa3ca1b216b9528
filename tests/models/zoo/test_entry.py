from __future__ import annotations

from sanderling.models import zoo
from sanderling.models.zoo.entry import ZooEntry


def test_an_entry_without_publication_has_nothing_to_exempt() -> None:
    entry = ZooEntry(name="own", family="own", make=zoo.entry("nanodet-debug").make)
    assert entry.published is None
    assert entry.unused_parameters == ()


def test_published_figures_are_plausible() -> None:
    for entry in zoo.entries():
        if entry.published is not None:
            assert 0 < entry.published.ap < 1
            assert entry.published.parameters < entry.published.macs
            assert entry.published.source
