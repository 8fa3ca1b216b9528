from __future__ import annotations

import pytest

from sanderling.models import zoo
from sanderling.models.zoo.entry import ZooEntry


def test_an_entry_without_publication_has_nothing_to_exempt() -> None:
    entry = ZooEntry(name="own", family="own", make=zoo.entry("nanodet-debug").make)
    assert entry.published is None
    assert entry.unused_parameters == entry.uncounted_parameters == ()


@pytest.mark.parametrize("name", zoo.names())
def test_published_figures_are_plausible(name: str) -> None:
    published = zoo.entry(name).published
    if published is None:
        return
    assert published.source
    for fraction in (published.ap, published.ap50):
        assert fraction is None or 0 < fraction < 1
    if published.parameters is not None:
        assert published.parameters > 10_000
        assert 0 < published.parameters_step < published.parameters / 10
    if published.macs is not None:
        assert published.macs > 1_000_000
        assert 0 < published.macs_step <= published.macs / 5


@pytest.mark.parametrize("name", zoo.names())
def test_an_entry_makes_what_its_name_says(name: str) -> None:
    entry = zoo.entry(name)
    made = entry.make(("fire", "smoke"))
    assert made.name == entry.name
    assert made.class_names == ("fire", "smoke")
