from __future__ import annotations

from pathlib import Path

import pytest

from sanderling.datasets.labels import LabelBuilder, inside, shown, text_findings
from tests.support.small_sets import put_picture


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("a.jpg", "/set/images/a.jpg"),
        ("./b//a.jpg", "/set/images/b/a.jpg"),
        ("../a.jpg", "/set/a.jpg"),
        ("b\\a.jpg", "/set/images/b/a.jpg"),
        ("/set/a.jpg", "/set/a.jpg"),
        ("..", "/set"),
        ("../../a.jpg", None),
        ("../../set2/a.jpg", None),
        ("/etc/passwd", None),
        ("..\\..\\a.jpg", None),
        ("a\0.jpg", None),
    ],
)
def test_a_path_may_not_leave_the_folder(written: str, wanted: str | None) -> None:
    assert inside(Path("/set"), Path("/set/images"), written) == (None if wanted is None else Path(wanted))


def test_the_root_of_the_disk_holds_everything() -> None:
    assert inside(Path("/"), Path("/images"), "a.jpg") == Path("/images/a.jpg")


def test_shown_is_relative_inside_only() -> None:
    assert shown(Path("/set/a/b.jpg"), Path("/set")) == "a/b.jpg"
    assert shown(Path("/other/b.jpg"), Path("/set")) == "/other/b.jpg"


def test_peculiar_bytes() -> None:
    rules = [finding.rule for finding in text_findings(b"\xef\xbb\xbfa\r\nb", Path("/set/a.txt"), Path("/set"))]
    assert rules == ["label-bom", "label-crlf"]
    assert text_findings(b"a\nb", Path("/set/a.txt"), Path("/set")) == []


def test_a_picture_without_a_size_takes_its_fractions_with_it(tmp_path: Path) -> None:
    builder = LabelBuilder(tmp_path, [])
    for name in ("gone.jpg", "here.jpg"):
        builder.add_picture(tmp_path / name, name, item=name)
        builder.add_box((0.5, 0.5, 0.25, 0.25), 0, item=name)
    put_picture(tmp_path / "here.jpg", 1)
    dataset = builder.build("train", "fractions", ("fire",), (0,)).to_dataset("set")
    assert dataset.picture_ids.tolist() == ["here.jpg"]
    assert dataset.boxes_xyxy.tolist() == [[24, 18, 40, 30]]
    assert [(finding.file, finding.rule) for finding in dataset.skipped] == [("gone.jpg", "picture-missing")]
