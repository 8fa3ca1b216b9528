from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sanderling.datasets.picture_file import examine, examine_all, upright_size
from tests.support.small_sets import encoded, pixels, put, put_picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_a_cut_file_is_told_from_a_whole_one(tmp_path: Path, kind: str) -> None:
    data = encoded(pixels(1, (90, 120)), kind)
    assert examine(put(tmp_path / f"whole.{kind.lower()}", data)).fault == ""
    cut = examine(put(tmp_path / f"cut.{kind.lower()}", data[: len(data) * 2 // 3]))
    assert cut.fault == "picture-truncated"
    assert cut.size_hw is None


@pytest.mark.parametrize("rest", [b"", b"\0" * 7, b"trailing words", b"a film: \xff\xda \xff\xda"])
def test_bytes_after_the_end_are_no_fault(tmp_path: Path, rest: bytes) -> None:
    assert examine(put(tmp_path / "a.jpg", encoded(pixels(1)) + rest)).fault == ""


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (None, "picture-missing"),
        (b"", "picture-empty"),
        (b"GIF", "picture-unreadable"),
        (b"\x89PNG\r\n", "picture-truncated"),
    ],
)
def test_faults(tmp_path: Path, data: bytes | None, fault: str) -> None:
    path = tmp_path / "a.jpg"
    if data is not None:
        put(path, data)
    assert examine(path).fault == fault


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    assert examine(tmp_path / "a.jpg").fault == "picture-unreadable"
    assert upright_size(tmp_path / "a.jpg") == "picture-unreadable"


def test_equal_pixels_have_equal_digests_however_packed(tmp_path: Path) -> None:
    first = examine(put(tmp_path / "a.png", encoded(pixels(1), "PNG", compress_level=0)))
    second = examine(put(tmp_path / "b.bmp", encoded(pixels(1), "BMP")))
    other = examine(put(tmp_path / "c.png", encoded(pixels(2), "PNG")))
    assert first.pixels_digest == second.pixels_digest != other.pixels_digest


def test_flat_pictures_of_different_shape_differ(tmp_path: Path) -> None:
    digests = {
        examine(
            put(tmp_path / f"{height}.png", encoded(np.zeros((height, 96 // height, 3), np.uint8), "PNG"))
        ).pixels_digest
        for height in (4, 6, 8, 12)
    }
    assert len(digests) == 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_that_of_the_upright_picture(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = put(tmp_path / "a.jpg", encoded(pixels(1, (30, 50)), exif=exif))
    size = upright_size(path)
    assert size == ((50, 30) if orientation >= 5 else (30, 50))
    facts = examine(path)
    assert facts.size_hw == size
    assert bool(facts.peculiarities) == (orientation != 1)


def test_sixteen_bits_in_png_and_tiff(tmp_path: Path) -> None:
    deep = Image.fromarray(pixels(1)[..., 0].astype("uint16") * 256)
    for name in ("a.png", "a.tiff"):
        deep.save(tmp_path / name)
        assert [rule for rule, _, _ in examine(tmp_path / name).peculiarities] == ["picture-16-bit"]


def test_order_of_many_is_kept(tmp_path: Path) -> None:
    paths = [put_picture(tmp_path / f"{number}.jpg", number, (20 + number, 30)) for number in range(12)]
    assert [facts.size_hw for facts in examine_all(paths)] == [(20 + number, 30) for number in range(12)]


def test_who_stops_listening_does_not_wait(tmp_path: Path) -> None:
    paths = [put_picture(tmp_path / f"{number}.jpg", number) for number in range(6)]
    facts = examine_all(paths)
    assert next(facts).fault == ""
    facts.close()  # type: ignore[attr-defined]
