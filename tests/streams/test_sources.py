"""What a user may point at."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sanderling.errors import DataError, UsageError
from sanderling.streams.sources import Frame, Unreadable, locate, natural_key, read
from tests.support.artefacts import pictures, write_picture


def _frames(*sources: Any, **options: Any) -> list[Frame]:
    frames = []
    for frame in read(locate(sources), **options):
        assert isinstance(frame, Frame)
        frames.append(frame)
    return frames


def _names(*sources: Any) -> list[str]:
    return [Path(frame.source).name for frame in _frames(*sources)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("10.jpg", "9.png", "2.bmp", "deep/1.jpg", "deep/er/3.JPG"):
        write_picture(tmp_path / name)
    (tmp_path / "notes.md").write_text("not a picture")
    return tmp_path


def test_a_folder_gives_its_pictures_in_natural_order(folder: Path) -> None:
    assert _names(folder) == ["2.bmp", "9.png", "10.jpg"]


def test_globs_reach_into_subfolders(folder: Path) -> None:
    assert _names(f"{folder}/**/*.[jJ][pP][gG]") == ["10.jpg", "1.jpg", "3.JPG"]
    assert _names(f"{folder}/*") == ["2.bmp", "9.png", "10.jpg"]


def test_a_list_names_pictures_beside_it(folder: Path) -> None:
    (folder / "list.txt").write_bytes("\ufeff# two\r\ndeep/1.jpg\r\n\r\n9.png\r\n".encode())
    assert _names(folder / "list.txt") == ["1.jpg", "9.png"]


def test_several_sources_keep_their_order(folder: Path) -> None:
    assert _names(folder / "9.png", str(folder / "2.bmp"), folder / "deep") == ["9.png", "2.bmp", "1.jpg"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a[1].png")
    write_picture(tmp_path / "a1.png")
    assert _names(path) == ["a[1].png"]


def test_pictures_in_memory(tmp_path: Path) -> None:
    array = pictures(1, size_hw=(33, 51))[0]
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    frames = _frames(array, Image.fromarray(array).convert("L"), stream.getvalue())
    assert [frame.source for frame in frames] == ["picture 0", "picture 1", "picture 2"]
    assert [frame.original_hw for frame in frames] == [(33, 51)] * 3
    np.testing.assert_array_equal(frames[0].image, array)
    np.testing.assert_array_equal(frames[2].image, array)
    assert frames[1].image.shape == (33, 51, 3)


def test_a_picture_in_memory_is_turned_upright() -> None:
    turned = Image.fromarray(pictures(1, size_hw=(20, 40))[0])
    exif = turned.getexif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    turned.save(stream, "JPEG", exif=exif)
    assert _frames(Image.open(io.BytesIO(stream.getvalue())))[0].image.shape == (40, 20, 3)
    assert _frames(stream.getvalue())[0].image.shape == (40, 20, 3)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_reduced_decode_knows_the_original_size(tmp_path: Path, orientation: int) -> None:
    large = Image.fromarray(pictures(1, size_hw=(402, 645))[0])
    exif = large.getexif()
    exif[0x0112] = orientation
    large.save(tmp_path / "large.jpg", exif=exif)
    frame = _frames(tmp_path / "large.jpg", smallest_hw=(96, 96))[0]
    upright = (402, 645) if orientation == 1 else (645, 402)
    assert frame.original_hw == upright
    assert frame.image.shape[0] == -(-upright[0] // 4)
    assert _frames(tmp_path / "large.jpg")[0].image.shape[:2] == upright


def test_an_almost_square_picture_is_not_taken_for_a_turned_one(tmp_path: Path) -> None:
    Image.fromarray(pictures(1, size_hw=(401, 404))[0]).save(tmp_path / "a.jpg")
    frame = _frames(tmp_path / "a.jpg", smallest_hw=(48, 48))[0]
    assert frame.image.shape[:2] == (51, 51)
    assert frame.original_hw == (401, 404)


def test_what_cannot_be_read_comes_out_as_such_and_the_rest_goes_on(folder: Path) -> None:
    (folder / "3.jpg").write_bytes((folder / "10.jpg").read_bytes()[:-30])
    (folder / "4.jpg").touch()
    (folder / "5.jpg").write_text("no picture at all")
    for smallest_hw in (None, (32, 32)):
        found = list(read(locate([folder, b"neither"]), smallest_hw=smallest_hw))
        bad = [item for item in found if isinstance(item, Unreadable)]
        assert len(found) == 7
        assert [Path(item.source).name for item in bad] == ["3.jpg", "4.jpg", "5.jpg", "picture 6"]
        assert all(item.source in str(item.error) for item in bad[:3])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.jpg", "no such file, folder or pattern"),
        ("*.tif", "0 files match, no picture or video among them"),
        ("*.md", "1 files match, no picture or video among them"),
        ("notes.md", r"files ending in '\.md' are no known pictures or videos; known: .*\.jpg"),
        ("empty", "holds no picture or video; for its subfolders use a glob"),
        ("wrong.txt", "line 2 names 'absent.jpg'"),
        ("nothing.txt", "lists nothing"),
        ("binary.txt", "is not UTF-8 text"),
    ],
)
def test_a_source_that_gives_nothing_is_an_error_at_once(folder: Path, name: str, words: str) -> None:
    (folder / "empty").mkdir()
    (folder / "wrong.txt").write_text("9.png\nabsent.jpg\n")
    (folder / "nothing.txt").write_text("# nothing\n")
    (folder / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=words):
        locate([folder / name])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), r"picture 0 is float32 \(4, 4, 3\); a uint8 HxWx3 RGB array"),
        (np.zeros((4, 4), np.uint8), r"picture 0 is uint8 \(4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"picture 0 is uint8 \(0, 4, 3\)"),
        ({"a": 1}, "picture 0 is a dict"),
    ],
)
def test_something_else_in_memory_is_wrong_use(content: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        list(read(locate([content])))


def test_numbers_and_addresses_are_streams() -> None:
    assert [type(item).__name__ for item in locate([0, "1", "rtsp://camera/1", "HTTP://camera/2"])] == ["_Video"] * 4


def test_natural_order() -> None:
    assert sorted(["b10", "b9", "a", "10", "9"], key=natural_key) == ["9", "10", "a", "b9", "b10"]
