"""The listing of the zoo: counted once, kept as a file, read by everyone who asks what there is.

Counting sixty networks takes half a minute and needs torch; reading the file takes neither. `scripts/zoo` writes it and
`docs/zoo.md`; a test holds both to what the code counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sanderling

if TYPE_CHECKING:
    from sanderling.analysis.published import Counted
    from sanderling.models.zoo.entry import Published, ZooEntry

LISTING = Path(sanderling.__file__).parent / "models" / "zoo" / "listing.json"

_HEAD = """# The zoo

Every detector by name, counted by Sanderling and compared with what its authors published. Written by `scripts/zoo`; do
not edit.

Parameters are those of the whole network at 80 classes (MobileDets: 90 and a background, as published), auxiliary
modules off, reparameterised branches merged, BatchNorm's scale and shift included. Where an entry follows another rule,
its note says so. Multiply-adds are those of convolutions (a deformable one with the convolution of its offsets), linear
layers and attention at the stated input. AP is COCO's, as published; what we measured ourselves stands in
[log.md](log.md). `-debug` entries are ours: the structure of their family at a size that trains in seconds.

A dash means that nothing was published for this form. "Sheet" stands for the fact sheets that Sanderling was written
from: their counts were made on the official networks.
"""

_BACKBONES = """## Backbones of the gradient-path papers

Counted as classifiers of 1000 classes (VoVNet: without classes). Each is a backbone for any detector; see
`sanderling.models.zoo.backbones`.

"""


def read_listing() -> list[dict[str, Any]]:
    """The listing as it ships; needs no torch."""
    listing: list[dict[str, Any]] = json.loads(LISTING.read_text(encoding="utf-8"))
    return listing


def list_backbones() -> list[dict[str, Any]]:
    """Count the classification backbones of the gradient-path papers: objects as in the listing."""
    from sanderling.analysis.published import count_backbone
    from sanderling.models.zoo.backbones import BACKBONES

    return [
        _model(
            entry.name,
            "backbones",
            entry.size_hw,
            count_backbone(entry),
            entry.published,
            classes=entry.classes,
            pretrained=(),
        )
        for entry in BACKBONES
    ]


def make_listing(names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Count the zoo, or some of it: one object per model, in the order of the zoo."""
    from sanderling.analysis.published import count_as_published
    from sanderling.models import zoo

    return [
        _model(
            entry.name,
            entry.family,
            zoo.config(entry.name).picture.size_hw,
            count_as_published(entry),
            entry.published,
            classes=entry.counted_classes,
            pretrained=(*entry.pretrained, *(["imagenet"] if _has_imagenet(entry) else [])),
        )
        for entry in zoo.entries()
        if names is None or entry.name in names
    ]


def _has_imagenet(entry: ZooEntry) -> bool:
    """Whether `train --pretrained imagenet` finds weights for the backbone."""
    from sanderling.models.weights.imagenet import imagenet_source

    return imagenet_source(entry.make(("object",)).backbone) is not None


def _model(
    name: str,
    family: str,
    size_hw: tuple[int, int],
    counted: Counted,
    published: Published | None,
    *,
    classes: int | None,
    pretrained: Sequence[str],
) -> dict[str, Any]:
    return {
        "name": name,
        "family": family,
        "input": list(size_hw),
        "classes": classes,
        "parameters": counted.parameters,
        "unused_parameters": counted.unused_parameters,
        "macs": counted.macs,
        "published": published
        and {
            "ap": published.ap,
            "ap50": published.ap50,
            "parameters": published.parameters,
            "parameters_step": published.parameters_step,
            "macs": published.macs,
            "macs_step": published.macs_step,
        },
        "published_source": published and published.source,
        "note": published.note if published else "",
        "pretrained": list(pretrained),
    }


def write_listing(*, page: Path) -> None:
    """Count the zoo and write the listing and its page."""
    listing = make_listing()
    LISTING.write_text(json.dumps(listing, indent=1) + "\n", encoding="utf-8")
    page.write_text(page_of(listing, list_backbones()), encoding="utf-8")


def page_of(listing: Sequence[dict[str, Any]], backbones: Sequence[dict[str, Any]] = ()) -> str:
    """The page of the zoo in Markdown: a table and notes per family, then the backbones counted as classifiers."""
    parts = [_HEAD]
    for family, models in groupby(listing, key=lambda model: model["family"]):
        parts.append("\n".join(_section(family, list(models))))
    if backbones:
        parts.append(_BACKBONES + "\n".join(_section("", list(backbones))))
    return "\n".join(parts)


def _section(family: str, models: Sequence[dict[str, Any]]) -> Iterator[str]:
    if family:
        yield f"## {family}\n"
    yield "| name | input | parameters | published | difference | M multiply-adds | published | difference | AP |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for model in models:
        published = model["published"] or dict.fromkeys(("parameters", "macs", "ap", "ap50"))
        cells = [
            f"`{model['name']}`",
            "x".join(map(str, model["input"])),
            f"{model['parameters']:,}",
            _whole(published["parameters"]),
            _difference(model["parameters"], published["parameters"]),
            f"{model['macs'] / 1e6:,.1f}",
            "-" if published["macs"] is None else f"{published['macs'] / 1e6:,.1f}",
            _percent(model["macs"], published["macs"]),
            _ap(published),
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    names: dict[str, list[str]] = {}
    for model in models:
        names.setdefault(_remarks(model), []).append(f"`{model['name']}`")
    for said, told in names.items():
        if said:
            yield f"- {', '.join(told)}: {said}."
    yield ""


def _remarks(model: dict[str, Any]) -> str:
    remarks = [f"source: {model['published_source']}" if model["published_source"] else "", model["note"]]
    if model["unused_parameters"]:
        remarks.append(f"{model['unused_parameters']:,} of the parameters are carried as published and never used")
    if model["pretrained"]:
        remarks.append(f"weights: {', '.join(model['pretrained'])}")
    return "; ".join(remark.rstrip(".") for remark in remarks if remark)


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _difference(ours: int, theirs: float | None) -> str:
    return "-" if theirs is None else f"{ours - theirs:+,.0f}" if ours != theirs else "0"


def _percent(ours: int, theirs: float | None) -> str:
    return "-" if theirs is None else f"{100 * (ours / theirs - 1):+.2f} %"


def _ap(published: dict[str, Any]) -> str:
    if published["ap"] is not None:
        return f"{100 * published['ap']:.1f}"
    return "-" if published["ap50"] is None else f"AP50 {100 * published['ap50']:.1f}"
