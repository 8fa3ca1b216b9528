from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sanderling.reporting import page
from sanderling.reporting.page import (
    Beside,
    Charts,
    Facts,
    Legend,
    Notice,
    Picture,
    PictureGrid,
    Section,
    Text,
    Tile,
    Tiles,
)
from sanderling.reporting.tables import Column, Table
from tests.support.html_page import HtmlPage

EVIL = "</script><script>alert('x')</script>\" onload=\"y & {z}"


def picture(suffix: str = ".png") -> bytes:
    _, data = cv2.imencode(suffix, np.full((30, 45, 3), 90, np.uint8))
    return data.tobytes()


def everything(text: str) -> list[Section]:
    """Every kind of block with the same text wherever text can go."""
    table = Table(
        title=text,
        columns=(Column(name=text), Column(name="n", kind="number")),
        rows=((text, 1.5), (None, None)),
        note=text,
    )
    shown = Picture(data=picture(), alt=text, caption=text)
    return [
        Section(blocks=(Tiles(tiles=(Tile(label=text, value=text, note=text),)), Notice(text=text))),
        Section(
            title=text,
            blocks=(
                Text(text=f"{text}\n\nsecond"),
                Facts(facts={text: text}),
                Charts(pictures=(shown,)),
                Charts(pictures=(shown,), wide=True),
                Legend(entries={text: ("#ff0000", True)}),
                PictureGrid(pictures=(Picture(data=picture(".jpg"), alt=text, caption=text),)),
                table,
                Beside(tables=(table, table)),
            ),
        ),
        Section(title=text, blocks=()),
    ]


def test_text_is_text_wherever_it_stands() -> None:
    read = HtmlPage(page.page_html(title=EVIL, subtitle=EVIL, sections=everything(EVIL), footer=EVIL))
    assert len(read.all("script")) == 1
    assert "".join(read.words).count(EVIL) >= 20
    assert not any("onload" in attributes for _, attributes in read.elements)
    assert all(attributes["alt"] == EVIL for attributes in read.all("img"))


def test_nothing_is_asked_of_any_server() -> None:
    read = HtmlPage(page.page_html(title="t", sections=everything("text")))
    sources = [attributes.get("src") for _, attributes in read.elements if "src" in attributes]
    links = [attributes.get("href") for _, attributes in read.elements if "href" in attributes]
    assert len(sources) == 3
    assert all(str(source).startswith(("data:image/png;base64,", "data:image/jpeg;base64,")) for source in sources)
    assert all(str(link).startswith(("#", "data:,")) for link in links)
    policy = next(meta["content"] for meta in read.all("meta") if "http-equiv" in meta)
    assert str(policy).startswith("default-src 'none'; img-src data:;")
    assert "url(" not in page.page_html(title="t", sections=[])


def test_the_contents_lead_to_the_sections() -> None:
    titles = ["Worst misses", "Worst misses", "火", ""]
    read = HtmlPage(page.page_html(title="t", sections=[Section(title=title, blocks=()) for title in titles]))
    anchors = [section["id"] for section in read.all("section")]
    assert anchors[0] == "worst-misses"
    assert len(set(anchors)) == 4
    assert [link["href"] for link in read.all("a")] == [f"#{anchor}" for anchor in anchors[:3]]


def test_columns_sort_by_value_and_not_by_text() -> None:
    table = Table(columns=(Column(name="AP", kind="percent"),), rows=((0.05123,), (None,), (1.0,)))
    read = HtmlPage(page.page_html(title="t", sections=[Section(blocks=(table,))]))
    assert [cell.get("data-key") for cell in read.all("td")] == ["0.05123", None, "1.0"]
    assert "5.1" in read.words
    assert "–" in read.words


def test_paragraphs_and_a_chart_at_its_own_size() -> None:
    blocks = (Text(text="one\n\ntwo\n\n"), Charts(pictures=(Picture(data=picture(), alt="chart"),), wide=True))
    read = HtmlPage(page.page_html(title="t", sections=[Section(blocks=blocks)]))
    assert len(read.all("p")) == 2
    assert (read.all("img")[0]["width"], read.all("img")[0]["height"]) == ("30", "20")


def test_only_png_and_jpeg() -> None:
    section = Section(blocks=(PictureGrid(pictures=(Picture(data=b"GIF89a", alt="dance"),)),))
    with pytest.raises(ValueError, match="picture 'dance': neither PNG nor JPEG"):
        page.page_html(title="t", sections=[section])


def test_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert page.write_page(path, title="Größe", sections=[]) == path
    assert "<h1>Größe</h1>" in path.read_text(encoding="utf-8")
    bad = Section(blocks=(PictureGrid(pictures=(Picture(data=b"", alt="x"),)),))
    with pytest.raises(ValueError):
        page.write_page(path, title="new", sections=[bad])
    (tmp_path / "folder.html" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        page.write_page(tmp_path / "folder.html", title="new", sections=[])
    assert "Größe" in path.read_text(encoding="utf-8")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder.html", "report.html"]


def test_a_name_that_is_no_text_is_written_with_escapes(tmp_path: Path) -> None:
    path = page.write_page(tmp_path / "report.html", title="\udcff.jpg", sections=[])
    assert "<h1>\\udcff.jpg</h1>" in path.read_text(encoding="utf-8")
