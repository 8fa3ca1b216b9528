"""What a picture file is, from its bytes: kind, size, completeness, peculiarities, fingerprint. No torch."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sanderling.errors import DataError
from sanderling.pictures import decode, is_cut_off

_SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "MPO": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "PNG": {".png", ".apng"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "TIFF": {".tif", ".tiff", ".dng"},
    "WEBP": {".webp"},
    "AVIF": {".avif"},
    "JPEG2000": {".jp2", ".j2k", ".jpx"},
}
_THREADS = 2
_ORIENTATION = 0x0112
_BITS_PER_SAMPLE = 0x0102


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureFacts:
    """What the file holds.

    Attributes:
        fault: the rule of an error, empty when the picture can be used.
        peculiarities: (rule, field, value) of each warning.
        size_hw: height and width of the upright picture, None when it cannot be decoded.
        pixels_digest: equal for equal decoded pixels, empty when it cannot be decoded.
    """

    fault: str
    value: str = ""
    peculiarities: tuple[tuple[str, str, str], ...] = ()
    size_hw: tuple[int, int] | None = None
    pixels_digest: str = ""


def examine(path: Path) -> PictureFacts:
    """Read and decode a picture once and say everything about it; never raises for a bad file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return PictureFacts(fault="picture-missing", value=str(path))
    except OSError as error:
        return PictureFacts(fault="picture-unreadable", value=str(error.strerror))
    if not data:
        return PictureFacts(fault="picture-empty", value="0 bytes")
    if _truncated(data):
        return PictureFacts(fault="picture-truncated", value=f"ends after {len(data)} bytes")
    try:
        pixels = decode(data)
    except DataError as error:
        return PictureFacts(
            fault="picture-unreadable",
            value=str(error).removeprefix("picture in memory: ").split(";")[0],
        )
    digest = hashlib.blake2b(
        np.ascontiguousarray(pixels).data, digest_size=16, salt=struct.pack("<2q", *pixels.shape[:2])
    )
    return PictureFacts(
        fault="",
        peculiarities=_peculiarities(data, path.suffix.lower()),
        size_hw=(pixels.shape[0], pixels.shape[1]),
        pixels_digest=digest.hexdigest(),
    )


def examine_all(paths: Sequence[Path]) -> Iterator[PictureFacts]:
    """Examine pictures two at a time; the facts come in the order of `paths`."""
    pool = ThreadPoolExecutor(_THREADS)
    try:
        yield from pool.map(examine, paths)
    finally:
        # Who stops listening must not wait for the rest.
        pool.shutdown(cancel_futures=True)


def upright_size(path: Path) -> tuple[int, int] | str:
    """Height and width of the upright picture from its header, or the rule that the file breaks."""
    from PIL import Image

    try:
        if path.stat().st_size == 0:
            return "picture-empty"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                width, height = picture.size
                turned = picture.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except FileNotFoundError:
        return "picture-missing"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return "picture-unreadable"
    return (width, height) if turned else (height, width)


def _truncated(data: bytes) -> bool:
    """Whether a file of a known kind lacks its own end mark."""
    if data.startswith(b"\xff\xd8"):
        return is_cut_off(data)
    if data.startswith(b"\x89PNG"):
        return b"IEND\xae\x42\x60\x82" not in data
    if data.startswith(b"GIF8"):
        return not data.rstrip(b"\0").endswith(b"\x3b")
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    if data.startswith(b"BM") and len(data) > 6:
        return len(data) < int.from_bytes(data[2:6], "little")
    return False


def _peculiarities(data: bytes, suffix: str) -> tuple[tuple[str, str, str], ...]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as picture:
                kind, mode, frames = str(picture.format), picture.mode, getattr(picture, "n_frames", 1)
                orientation = picture.getexif().get(_ORIENTATION, 1)
                transparent = "transparency" in picture.info
                deep = _bits_per_channel(picture, data) > 8
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        # OpenCV read it, so it can be used; Pillow just does not know the kind.
        return ()
    found: list[tuple[str, str, str]] = []
    if suffix not in _SUFFIXES.get(kind, {suffix}):
        found.append(("picture-wrong-suffix", "file name", f"{kind} named {suffix or 'without suffix'}"))
    if orientation not in (0, 1):
        found.append(("picture-exif-rotated", "EXIF Orientation", str(orientation)))
    if mode == "CMYK":
        found.append(("picture-cmyk", "colour", mode))
    if mode in ("P", "PA"):
        found.append(("picture-palette", "colour", mode))
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or transparent:
        found.append(("picture-alpha", "colour", f"{mode} with transparency" if transparent else mode))
    if deep:
        found.append(("picture-16-bit", "depth", mode))
    # A phone's MPO is one photograph with a preview, not an animation.
    if frames > 1 and kind != "MPO":
        found.append(("picture-animated", "frames", str(frames)))
    return tuple(found)


def _bits_per_channel(picture: object, data: bytes) -> int:
    if data.startswith(b"\x89PNG"):
        return data[24]
    tags = getattr(picture, "tag_v2", None)
    if tags is not None:
        stated = tags.get(_BITS_PER_SAMPLE, 8)
        return max(stated) if isinstance(stated, tuple) else int(stated)
    return 16 if str(getattr(picture, "mode", "")).startswith(("I", "F")) else 8
