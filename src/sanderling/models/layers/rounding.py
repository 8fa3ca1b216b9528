"""Widths of scaled networks: numbers of channels that are multiples of eight."""

from __future__ import annotations


def round_channels(channels: float, *, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, one more where that would lose over a tenth of the channels.

    The rule of the MobileNet authors' code, which Keras and torchvision share.

    >>> round_channels(24 * 0.75)
    24
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def nearest_multiple(channels: float, *, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, halves up, at least one; MobileDet's rule, which may lose over a tenth.

    >>> nearest_multiple(12), nearest_multiple(11.9), nearest_multiple(2)
    (16, 8, 8)
    """
    return max(divisor, int(channels / divisor + 0.5) * divisor)
