"""The bilateral grid (Chen, Paris, Durand 2007, "Real-time edge-aware image processing with the bilateral grid").

Pixels are gathered in the cells of a coarse volume, space x brightness of a guide. A plain blur of that volume smooths
across space and not across edges of the guide. Each cell carries the sum of its values and their number, so that the
quotient after the blur is a weighted mean.
"""

import numpy as np
from scipy.ndimage import map_coordinates

CELL = 2  # pixels along a cell's side
BINS = 32  # of the guide's range


def bilateral_grid(values: np.ndarray, guide: np.ndarray, space_sigma: float, range_sigma: float) -> np.ndarray:
    """Smooths `values`, (H, W, C), along the edges of `guide`, (H, W) in [0, 1]; the sigmas are in cells and bins.

    A pixel adds to the cell that it falls into; the result is interpolated linearly between the cells' centres.
    """
    y, x = np.indices(guide.shape)
    where = np.stack([(y + 0.5) / CELL, (x + 0.5) / CELL, guide * BINS])  # cell i reaches from i to i + 1
    shape = (*(-(-side // CELL) for side in guide.shape), BINS)
    cell = np.ravel_multi_index(tuple(where.astype(int)), shape, mode="clip").ravel()
    layers = [*np.moveaxis(values, -1, 0), np.ones_like(guide)]
    grid = np.stack([np.bincount(cell, layer.ravel(), minlength=np.prod(shape)).reshape(shape) for layer in layers])
    kernels = [_gaussian(side, sigma) for side, sigma in zip(shape, (space_sigma, space_sigma, range_sigma))]
    grid = np.einsum("iy,jx,kb,cyxb->cijk", *kernels, grid, optimize=True)
    *sums, weight = (map_coordinates(layer, where - 0.5, order=1, mode="nearest") for layer in grid)
    return np.stack(sums, axis=-1) / weight[..., None]


def _gaussian(side: int, sigma: float) -> np.ndarray:
    """A blur along one axis as a dense matrix, which at this size beats a convolution however wide the Gaussian is."""
    offset = np.subtract.outer(np.arange(side), np.arange(side))
    return np.exp(-0.5 * (offset / sigma) ** 2)
