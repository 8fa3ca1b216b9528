from __future__ import annotations

import json
import re
from pathlib import Path

from sanderling.commands import zoo_listing
from sanderling.models import zoo


def test_the_listing_that_ships_has_the_names_of_the_zoo() -> None:
    assert [model["name"] for model in zoo_listing.read_listing()] == zoo.names()


def test_the_listing_that_ships_is_what_the_code_counts_for_the_debug_sizes() -> None:
    debug = [name for name in zoo.names() if name.endswith("-debug")]
    shipped = [model for model in zoo_listing.read_listing() if model["name"] in debug]
    assert json.loads(json.dumps(zoo_listing.make_listing(debug))) == shipped


def test_the_counts_that_ship_meet_the_published_ones() -> None:
    for model in zoo_listing.read_listing():
        published = zoo.entry(model["name"]).published
        if published is not None and published.parameters is not None and published.parameters_step == 1:
            assert model["parameters"] == published.parameters, model["name"]


def test_what_the_listing_says_of_published_figures_is_what_the_zoo_says() -> None:
    for model in zoo_listing.read_listing():
        published = zoo.entry(model["name"]).published
        assert model["note"] == ("" if published is None else published.note), model["name"]
        if published is not None:
            assert model["published"] == {key: getattr(published, key) for key in model["published"]}, model["name"]


def test_the_page_in_the_documents_is_that_of_the_listing() -> None:
    page = Path(__file__).parents[2] / "docs" / "zoo.md"
    written = zoo_listing.page_of(zoo_listing.read_listing(), zoo_listing.list_backbones())
    assert page.read_text(encoding="utf-8") == written


def test_differences_are_written_with_their_sign() -> None:
    model = {
        "name": "some",
        "family": "kind",
        "input": [320, 416],
        "parameters": 1_000_500,
        "unused_parameters": 12,
        "macs": 99_900_000,
        "published": {"parameters": 1_000_000, "macs": 100_000_000, "ap": None, "ap50": 0.301},
        "published_source": "a paper.",
        "note": "",
        "pretrained": ["coco"],
    }
    page = zoo_listing.page_of([model])
    row = next(line for line in page.splitlines() if line.startswith("| `some`"))
    assert re.split(r" *\| *", row)[2:-1] == [
        "320x416", "1,000,500", "1,000,000", "+500", "99.9", "100.0", "-0.10 %", "AP50 30.1"
    ]  # fmt: skip
    assert (
        "- `some`: source: a paper; 12 of the parameters are carried as published and never used; weights: coco."
        in page
    )


def test_weights_are_listed_where_they_can_be_had() -> None:
    listed = {model["name"]: model["pretrained"] for model in zoo_listing.read_listing()}
    assert listed["nanodet-m"] == ["coco", "imagenet"]
    assert listed["timm-debug"] == ["imagenet"]
    assert listed["nanodet-debug"] == []
