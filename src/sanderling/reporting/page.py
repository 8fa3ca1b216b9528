"""A self-contained HTML page: one file that can be sent to a colleague, opened offline and printed.

Text goes in as it is and is escaped here. Styles and pictures are inside; the page's own policy forbids any request.
It follows the reader's light or dark setting.
"""

from __future__ import annotations

import base64
import html
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from sanderling.reporting.tables import Table

_MEDIA_TYPES = ((b"\x89PNG", "image/png"), (b"\xff\xd8", "image/jpeg"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """One key figure.

    Attributes:
        label: what it is.
        value: the figure with its unit.
        note: a short line below, may be empty.
    """

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One picture.

    Attributes:
        data: the bytes of a PNG or JPEG file.
        alt: what it shows, for those who cannot see it.
        caption: stands below it, may be empty.
    """

    data: bytes
    alt: str
    caption: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """Paragraphs; an empty line begins a new one."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """A paragraph that must not be overlooked."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tiles:
    """Key figures side by side."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Names with one value each."""

    facts: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Charts:
    """Charts, two side by side where there is room for it; `wide` gives each a row of its own and its own size."""

    pictures: tuple[Picture, ...]
    wide: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Legend:
    """What colours in pictures mean: name to a CSS colour and whether its line is broken."""

    entries: Mapping[str, tuple[str, bool]]


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureGrid:
    """Small pictures with captions, as many in a row as fit."""

    pictures: tuple[Picture, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """Tables side by side where there is room for it."""

    tables: tuple[Table, ...]


Block = Text | Notice | Tiles | Facts | Charts | Legend | PictureGrid | Table | Beside


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A heading, which the page's contents link to, with what stands below it.

    Attributes:
        title: the heading; empty for blocks right below the page's title.
        blocks: from top to bottom.
    """

    title: str = ""
    blocks: tuple[Block, ...]


def write_page(path: Path, *, title: str, subtitle: str = "", sections: Sequence[Section], footer: str = "") -> Path:
    """Write the page, whole or not at all.

    Args:
        path: the HTML file.
        title: heading of the page.
        subtitle: a line below it.
        sections: from top to bottom.
        footer: the last line.

    Returns:
        `path`.
    """
    text = page_html(title=title, subtitle=subtitle, sections=sections, footer=footer)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # A file's name may hold bytes that are no text.
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def page_html(*, title: str, subtitle: str = "", sections: Sequence[Section], footer: str = "") -> str:
    """The page as text; as for `write_page`."""
    anchors = _anchors(sections)
    contents = "".join(
        f'<a href="#{anchor}">{_escape(section.title)}</a>'
        for section, anchor in zip(sections, anchors, strict=True)
        if section.title
    )
    body = "\n".join(_section(section, anchor) for section, anchor in zip(sections, anchors, strict=True))
    return _FRAME.format(
        title=_escape(title),
        style=_inside("page.css"),
        script=_inside("page.js"),
        subtitle=f'<p class="subtitle">{_escape(subtitle)}</p>' if subtitle else "",
        contents=f'<nav aria-label="Contents">{contents}</nav>' if contents else "",
        body=body,
        footer=f"<footer>{_escape(footer)}</footer>" if footer else "",
    )


_FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
{subtitle}
{contents}
</header>
<main>
{body}
</main>
{footer}
<script>
{script}</script>
</body>
</html>
"""


def _inside(name: str) -> str:
    return resources.files("sanderling.reporting").joinpath(name).read_text(encoding="utf-8")


def _escape(text: str) -> str:
    return html.escape(text, quote=True)


def _anchors(sections: Sequence[Section]) -> list[str]:
    """One anchor per section, no two alike."""
    anchors: list[str] = []
    for section in sections:
        base = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") or "section"
        anchors.append(base if base not in anchors else f"{base}-{len(anchors) + 1}")
    return anchors


def _section(section: Section, anchor: str) -> str:
    heading = f"<h2>{_escape(section.title)}</h2>\n" if section.title else ""
    return f'<section id="{anchor}">\n{heading}' + "\n".join(map(_block, section.blocks)) + "\n</section>"


def _block(block: Block) -> str:
    match block:
        case Text(text=text):
            return "\n".join(f"<p>{_escape(part)}</p>" for part in re.split(r"\n\s*\n", text) if part.strip())
        case Notice(text=text):
            return f'<p class="notice" role="note">{_escape(text)}</p>'
        case Tiles(tiles=tiles):
            return f'<div class="tiles">{"".join(map(_tile, tiles))}</div>'
        case Facts(facts=facts):
            rows = "".join(
                f"<div><dt>{_escape(name)}</dt><dd>{_escape(fact)}</dd></div>" for name, fact in facts.items()
            )
            return f'<dl class="facts">{rows}</dl>'
        case Charts(pictures=pictures, wide=wide):
            return f'<div class="charts{" wide" if wide else ""}">{"".join(map(_picture, pictures))}</div>'
        case Legend(entries=entries):
            return f'<p class="legend">{"".join(_legend_entry(name, *look) for name, look in entries.items())}</p>'
        case PictureGrid(pictures=pictures):
            return f'<div class="pictures">{"".join(map(_picture, pictures))}</div>'
        case Beside(tables=tables):
            return f'<div class="beside">{"".join(f"<div>{_table(table)}</div>" for table in tables)}</div>'
        case Table():
            return _table(block)


def _tile(tile: Tile) -> str:
    note = f'<span class="note">{_escape(tile.note)}</span>' if tile.note else ""
    return (
        f'<div class="tile"><span class="label">{_escape(tile.label)}</span>'
        f'<span class="value">{_escape(tile.value)}</span>{note}</div>'
    )


def _picture(picture: Picture) -> str:
    kind = next((kind for magic, kind in _MEDIA_TYPES if picture.data.startswith(magic)), None)
    if kind is None:
        raise ValueError(f"picture {picture.alt!r}: neither PNG nor JPEG; the bytes of such a file are expected")
    data = base64.b64encode(picture.data).decode("ascii")
    caption = f"<figcaption>{_escape(picture.caption)}</figcaption>" if picture.caption else ""
    size = _shown_size(picture.data)
    return f'<figure><img{size} src="data:{kind};base64,{data}" alt="{_escape(picture.alt)}">{caption}</figure>'


def _shown_size(data: bytes) -> str:
    """Width and height for a PNG, so that a small chart is not blown up; our charts have 1.5 pixels to one of CSS."""
    if not data.startswith(_MEDIA_TYPES[0][0]):
        return ""
    width, height = (int.from_bytes(data[at : at + 4]) / 1.5 for at in (16, 20))
    return f' width="{width:.0f}" height="{height:.0f}" style="--width: {width:.0f}px"'


def _legend_entry(name: str, colour: str, broken: bool) -> str:
    line = "dashed" if broken else "solid"
    return f'<span><i style="border-top: 3px {line} {_escape(colour)}"></i>{_escape(name)}</span>'


def _table(table: Table) -> str:
    """A table whose columns sort on a click; the value to sort by stands beside the text."""
    head = "".join(
        f'<th scope="col"{_numeric(column.kind)}><button type="button">{_escape(column.name)}</button></th>'
        for column in table.columns
    )
    rows = []
    for row in table.rows:
        cells = []
        for column, value in zip(table.columns, row, strict=True):
            key = "" if value is None or isinstance(value, str) else f' data-key="{value}"'
            cells.append(f"<td{_numeric(column.kind)}{key}>{_escape(column.text(value))}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    caption = f"<caption>{_escape(table.title)}</caption>" if table.title else ""
    note = f'<p class="note">{_escape(table.note)}</p>' if table.note else ""
    body = "\n".join(rows)
    whole = f"<table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    return f'<div class="scroll">{whole}</div>{note}'


def _numeric(kind: str) -> str:
    return "" if kind == "text" else ' class="number"'
