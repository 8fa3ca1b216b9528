from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from sanderling import pictures
from sanderling.errors import DataError
from sanderling.structures.artefact import PictureRule

HEIGHT, WIDTH = 48, 80
_ORIENTATION = 274


def scene(height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Four flat quarters, which survive any codec: red, green, blue, grey."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = 220, 20, 30
    picture[: height // 2, width // 2 :] = 20, 200, 40
    picture[height // 2 :, : width // 2] = 30, 40, 210
    picture[height // 2 :, width // 2 :] = 128, 128, 128
    return picture


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(height: int = HEIGHT, width: int = WIDTH, **options: Any) -> bytes:
    return encoded(Image.fromarray(scene(height, width)), "JPEG", quality=95, subsampling=0, **options)


def png_claiming(width: int, height: int) -> bytes:
    """A few bytes that say they are a picture of that size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def assert_quarters(picture: NDArray[np.uint8], *, tolerance: int = 6) -> None:
    """The middle of each quarter has its colour."""
    height, width = picture.shape[:2]
    for top, left, colour in ((1, 1, (220, 20, 30)), (1, 3, (20, 200, 40)), (3, 1, (30, 40, 210)), (3, 3, (128,) * 3)):
        found = picture[height * top // 4, width * left // 4].astype(int)
        assert np.abs(found - colour).max() <= tolerance, (top, left, found)


class TestDecode:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "TIFF", "GIF", "JPEG2000", "AVIF"])
    def test_every_format_gives_rgb(self, kind: str) -> None:
        options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
        if kind == "AVIF":
            options = {"quality": 98, "subsampling": "4:4:4"}
        picture = pictures.decode(encoded(Image.fromarray(scene()), kind, **options))
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert picture.dtype == np.uint8
        assert_quarters(picture)

    def test_a_file_and_its_bytes_give_the_same(self, tmp_path: Path) -> None:
        path = tmp_path / "wrongly named.png"
        path.write_bytes(jpeg())
        np.testing.assert_array_equal(pictures.decode(path), pictures.decode(jpeg()))

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation_is_applied(self, orientation: int) -> None:
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        stored = Image.fromarray(scene())
        # Stored turned, so that applying the orientation gives the scene back.
        inverse = {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270,
        }
        if orientation in inverse:
            stored = stored.transpose(inverse[orientation])
        data = encoded(stored, "JPEG", quality=95, subsampling=0, exif=exif)
        assert pictures.decode(data).shape == (HEIGHT, WIDTH, 3)
        assert_quarters(pictures.decode(data))
        assert_quarters(pictures.decode(data, smallest_hw=(8, 8)))

    def test_grey_becomes_three_equal_channels(self) -> None:
        grey = Image.fromarray(scene()).convert("L")
        for kind in ("JPEG", "PNG"):
            picture = pictures.decode(encoded(grey, kind))
            assert picture.shape == (HEIGHT, WIDTH, 3)
            assert (picture[..., 0] == picture[..., 2]).all()

    def test_palette_and_alpha(self) -> None:
        full = Image.fromarray(scene())
        assert_quarters(pictures.decode(encoded(full.convert("P", palette=Image.Palette.ADAPTIVE), "PNG")))
        with_alpha = full.copy()
        with_alpha.putalpha(90)
        assert_quarters(pictures.decode(encoded(with_alpha, "PNG")))

    def test_cmyk(self) -> None:
        data = encoded(Image.fromarray(scene()).convert("CMYK"), "JPEG", quality=98)
        assert pictures.decode(data).shape == (HEIGHT, WIDTH, 3)
        assert_quarters(pictures.decode(data), tolerance=12)

    @pytest.mark.parametrize("suffix", [".png", ".tiff"])
    def test_sixteen_bits_keep_their_upper_eight(self, suffix: str) -> None:
        deep = scene()[..., ::-1].astype(np.uint16) * 257
        _, data = cv2.imencode(suffix, deep)
        assert_quarters(pictures.decode(data.tobytes()), tolerance=1)

    def test_of_an_animation_the_first_picture(self) -> None:
        frames = [Image.fromarray(scene()), Image.new("RGB", (WIDTH, HEIGHT), (9, 9, 9))]
        for kind, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
            data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options)
            assert_quarters(pictures.decode(data))

    def test_a_reduced_scale_only_where_it_is_large_enough(self) -> None:
        data = jpeg(600, 1000)
        sizes = {
            (600, 1000): None,
            (300, 500): (300, 500),
            (150, 250): (150, 250),
            (75, 125): (75, 125),
        }
        assert pictures.decode(data).shape[:2] == (600, 1000)
        assert pictures.decode(data, smallest_hw=(301, 400)).shape[:2] == (600, 1000)
        for size, wish in sizes.items():
            assert pictures.decode(data, smallest_hw=wish).shape[:2] == size
        assert_quarters(pictures.decode(data, smallest_hw=(75, 125)))
        assert pictures.decode(data, smallest_hw=(1, 1)).shape[:2] == (75, 125)
        assert pictures.decode(data, smallest_hw=(2000, 2000)).shape[:2] == (600, 1000)

    @pytest.mark.parametrize(("height", "width"), [(401, 299), (97, 213)])
    def test_odd_sizes_never_come_out_too_small(self, height: int, width: int) -> None:
        for wish in ((40, 30), (50, 100), (96, 96)):
            found = pictures.decode(jpeg(height, width), smallest_hw=wish).shape[:2]
            assert min(found) >= min(*wish, height, width)

    def test_only_jpeg_is_reduced(self) -> None:
        data = encoded(Image.fromarray(scene()), "PNG")
        assert pictures.decode(data, smallest_hw=(4, 4)).shape[:2] == (HEIGHT, WIDTH)


class TestBadPictures:
    @pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
    def test_a_cut_jpeg(self, kept: float) -> None:
        random = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
        data = encoded(Image.fromarray(random), "JPEG")
        with pytest.raises(DataError, match=r"cut off after|cannot be decoded|not a picture"):
            pictures.decode(data[: int(len(data) * kept)])

    def test_a_cut_jpeg_with_a_whole_preview_inside(self) -> None:
        preview = jpeg(16, 16)
        app1 = b"\xff\xe1" + struct.pack(">H", len(preview) + 2) + preview
        whole = jpeg()
        data = whole[:2] + app1 + whole[2:]
        assert_quarters(pictures.decode(data))
        with pytest.raises(DataError, match=r"the JPEG is cut off after \d+ bytes"):
            pictures.decode(data[:-40])

    def test_a_jpeg_with_a_film_behind_it_is_whole(self) -> None:
        """Telephones append one; its bytes may hold any JPEG marker."""
        assert_quarters(pictures.decode(jpeg() + b"film \xff\xd9 \xff\xda film"))

    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP", "TIFF"])
    def test_other_formats_cut(self, kind: str) -> None:
        random = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
        data = encoded(Image.fromarray(random), kind)
        with pytest.raises(DataError, match=r"cannot be decoded|not a picture"):
            pictures.decode(data[: len(data) // 2])

    def test_missing_empty_and_no_picture(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"gone\.jpg: no such picture; restore it or remove it"):
            pictures.decode(tmp_path / "gone.jpg")
        with pytest.raises(DataError, match="cannot be read: Is a directory"):
            pictures.decode(tmp_path)
        (tmp_path / "empty.jpg").write_bytes(b"")
        with pytest.raises(DataError, match=r"empty\.jpg: has zero bytes"):
            pictures.decode(tmp_path / "empty.jpg")
        with pytest.raises(DataError, match="picture in memory: is not a picture of a known format"):
            pictures.decode(b"<html>not found</html>")

    @pytest.mark.parametrize("size", [(60000, 60000), (16385, 16384), (2**31 - 1, 1)])
    def test_a_png_that_claims_too_much(self, size: tuple[int, int]) -> None:
        with pytest.raises(DataError, match=f"claims {size[0]} x {size[1]} pixels") as raised:
            pictures.decode(png_claiming(*size))
        assert "268,435,456" in str(raised.value)

    def test_a_jpeg_that_claims_too_much(self) -> None:
        data = bytearray(jpeg())
        frame = data.index(b"\xff\xc0")
        data[frame + 5 : frame + 9] = struct.pack(">HH", 60000, 50000)
        with pytest.raises(DataError, match="claims 50000 x 60000 pixels"):
            pictures.decode(bytes(data))

    def test_a_gif_that_claims_too_much(self) -> None:
        data = bytearray(encoded(Image.fromarray(scene()), "GIF"))
        data[6:10] = struct.pack("<HH", 60000, 60000)
        with pytest.raises(DataError, match="claims too many pixels"):
            pictures.decode(bytes(data))

    @settings(max_examples=30, deadline=None)
    @given(kind=st.sampled_from(["PNG", "GIF", "BMP", "TIFF", "WEBP"]), seed=st.integers(0, 2**31))
    def test_damage_is_a_picture_or_one_clear_error(self, kind: str, seed: int) -> None:
        random = np.random.default_rng(seed)
        data = bytearray(encoded(Image.fromarray(scene(12, 20)), kind))
        for place in random.integers(0, len(data), 6):
            data[place] = random.integers(0, 256)
        with contextlib.suppress(DataError):
            picture = pictures.decode(bytes(data))
            assert picture.ndim == 3
            assert picture.dtype == np.uint8


class TestJpegSize:
    @pytest.mark.parametrize("progressive", [False, True])
    def test_from_the_frame_header(self, progressive: bool) -> None:
        assert pictures.jpeg_size(jpeg(31, 57, progressive=progressive, comment=b"x" * 500)) == (31, 57)

    def test_fill_bytes_before_a_marker(self) -> None:
        data = jpeg(31, 57)
        frame = data.index(b"\xff\xc0")
        assert pictures.jpeg_size(data[:frame] + b"\xff\xff" + data[frame:]) == (31, 57)

    def test_none_without_one(self) -> None:
        assert pictures.jpeg_size(b"\xff\xd8") is None
        assert pictures.jpeg_size(b"\xff\xd8" + b"no jpeg at all") is None


sizes = st.tuples(st.integers(1, 700), st.integers(1, 700))
rules = st.builds(
    PictureRule,
    size_hw=st.tuples(st.integers(1, 20).map(lambda n: n * 32), st.integers(1, 20).map(lambda n: n * 32)),
    resize=st.sampled_from(["letterbox", "stretch"]),
    pad_value=st.integers(0, 255),
)


class TestFit:
    @settings(max_examples=60, deadline=None)
    @given(original_hw=sizes, rule=rules, corners=st.lists(st.floats(0, 1), min_size=4, max_size=4))
    def test_boxes_go_in_and_come_back(
        self, original_hw: tuple[int, int], rule: PictureRule, corners: list[float]
    ) -> None:
        height, width = original_hw
        box = np.array([[corners[0] * width, corners[1] * height, corners[2] * width, corners[3] * height]])
        placement = pictures.place(original_hw, rule)
        inside = placement.to_network(box)
        assert (inside > -0.01).all()
        assert (inside[0] < np.array(rule.size_hw[::-1] * 2) + 0.01).all()
        np.testing.assert_allclose(placement.to_original(inside), box, atol=0.02)

    @settings(max_examples=40, deadline=None)
    @given(original_hw=sizes, rule=rules)
    def test_the_input_has_the_size_and_the_border_its_grey(
        self, original_hw: tuple[int, int], rule: PictureRule
    ) -> None:
        white = np.full((*original_hw, 3), 255, np.uint8)
        image, placement = pictures.fit(white, rule)
        assert image.shape == (*rule.size_hw, 3)
        corners = np.array([[0, 0, original_hw[1], original_hw[0]]])
        left, top, right, bottom = placement.to_network(corners)[0].round().astype(int).tolist()
        assert (image[top:bottom, left:right] == 255).all()
        outside = np.ones(rule.size_hw, bool)
        outside[top:bottom, left:right] = False
        assert (image[outside] == rule.pad_value).all()
        if rule.resize == "stretch":
            assert not outside.any()
        else:
            # Centred, and as large as fits.
            assert abs(left - (rule.size_hw[1] - right)) <= 1
            assert abs(top - (rule.size_hw[0] - bottom)) <= 1
            assert (top, bottom) == (0, rule.size_hw[0]) or (left, right) == (0, rule.size_hw[1])

    @pytest.mark.parametrize("resize", ["letterbox", "stretch"])
    def test_pixels_and_boxes_move_together(self, resize: Any) -> None:
        picture = np.zeros((90, 210, 3), np.uint8)
        picture[30:60, 70:140] = 255
        image, placement = pictures.fit(picture, PictureRule(size_hw=(160, 96), resize=resize))
        rows, columns = np.nonzero(image[..., 0] > 127)
        box = placement.to_network(np.array([[70.0, 30, 140, 60]]))[0]
        np.testing.assert_allclose(box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], atol=1)

    def test_a_picture_decoded_small_refers_to_its_original_size(self) -> None:
        rule = PictureRule(size_hw=(64, 96))
        full, reduced = scene(240, 330), cv2.resize(scene(240, 330), (165, 120), interpolation=cv2.INTER_AREA)
        image, placement = pictures.fit(np.asarray(reduced, np.uint8), rule, original_hw=(240, 330))
        expected_image, expected = pictures.fit(full, rule)
        assert placement.original_hw == (240, 330)
        np.testing.assert_array_equal(placement.matrix, expected.matrix)
        assert image.shape == expected_image.shape
        box = np.array([[10.0, 20, 300, 200]])
        np.testing.assert_allclose(placement.to_original(placement.to_network(box)), box, atol=1e-3)

    def test_a_picture_of_the_right_size_is_not_touched(self) -> None:
        picture = scene(64, 96)
        image, placement = pictures.fit(picture, PictureRule(size_hw=(64, 96)))
        assert image is picture
        np.testing.assert_array_equal(placement.matrix, [[1, 0, 0], [0, 1, 0]])

    def test_boxes_that_come_back_are_clipped(self) -> None:
        placement = pictures.place((50, 100), PictureRule(size_hw=(96, 96)))
        back = placement.to_original(np.array([[-20.0, -20, 200, 200]]))
        np.testing.assert_array_equal(back, [[0, 0, 100, 50]])
        assert back.dtype == np.float32

    def test_no_boxes(self) -> None:
        placement = pictures.place((50, 100), PictureRule())
        assert placement.to_network(np.zeros((0, 4))).shape == (0, 4)
        assert placement.to_original(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize(
    ("size", "stride", "rounded"),
    [((320, 320), 32, (320, 320)), ((321, 319), 32, (352, 320)), ((1, 1), 64, (64, 64)), ((300, 200), 1, (300, 200))],
)
def test_round_up_size(size: tuple[int, int], stride: int, rounded: tuple[int, int]) -> None:
    assert pictures.round_up_size(size, stride) == rounded
