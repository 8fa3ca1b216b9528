"""Which pictures make up each sample of a window and where they stand: one alone, or four as a mosaic.

Axes: N samples and as many pictures of the window, K tiles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sanderling.data.augment import Draws
from sanderling.data.transforms.geometry import Tiles

Floats = NDArray[np.float64]

# Of the four tiles of a mosaic: does it end (1) or begin (0) at the centre, in x and in y?
_ENDS_AT_CENTRE = np.array([(1, 1), (0, 1), (1, 0), (0, 0)])


def lay_out(
    draws: Draws, *, original_xy: Floats, fit_scale_xy: Floats, fit_offset_xy: Floats, size_xy: Floats
) -> Tiles:
    """Place every picture of every sample.

    A picture alone is fitted, enlarged about the middle and shifted. In a mosaic four fitted and enlarged pictures
    touch one centre with a corner each, every one in its own quarter.

    Args:
        draws: N samples; sample i is made of picture i first.
        original_xy: Nx2, width and height of the original pictures.
        fit_scale_xy: Nx2, original pixels to pixels of the fitted picture.
        fit_offset_xy: Nx2, where the fitted picture begins.
        size_xy: 2, width and height of a sample.
    """
    count = len(draws.mosaic)
    tiles_of = np.where(draws.mosaic, 4, 1)
    sample = np.repeat(np.arange(count), tiles_of)
    rank = np.arange(len(sample)) - np.repeat(np.cumsum(tiles_of) - tiles_of, tiles_of)
    source = np.concatenate([np.arange(count)[:, None], draws.partners], axis=1)[sample, rank]
    mosaic = draws.mosaic[sample][:, None]
    enlarge, shift = draws.scale_xy[sample], draws.shift_xy[sample]
    scale = fit_scale_xy[source] * enlarge
    span = scale * original_xy[source]

    middle = size_xy / 2
    alone = (fit_offset_xy[source] - middle) * enlarge + middle + shift * (fit_scale_xy * original_xy)[source]
    centre = middle + size_xy * (draws.centre_xy[sample] * enlarge + shift)
    ends = _ENDS_AT_CENTRE[rank]
    offset = np.where(mosaic, centre - ends * span, alone)

    seam = np.clip(centre, 0, size_xy)
    begin = np.where(mosaic & (ends == 0), seam, 0)
    end = np.where(mosaic & (ends == 1), seam, size_xy)
    return Tiles(
        sample=sample,
        source=source,
        scale_xy=scale,
        offset_xy=offset,
        limits_xyxy=np.concatenate([begin, end], axis=1),
    )
