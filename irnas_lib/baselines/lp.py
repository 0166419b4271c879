"""LP (Li et al. 2016, "Rain streak removal using layer priors"): Gaussian mixtures of patches for either layer.

A re-implementation from the paper's objective: on the luma, O = B + R with 0 <= B, R <= O, ::

    |O - B - R|^2 + alpha |grad B|_1 + beta |R|^2 - gamma log GMM_B(patches of B) - gamma log GMM_R(patches of R),

by half-quadratic splitting with a growing weight omega. The priors are of patches less their means. The growth of
omega and the choice of the region that the rain is learnt from are ours.
"""

from collections.abc import Sequence
from math import isqrt
from typing import NamedTuple

import numpy as np
import torch
from scipy.fft import dctn, idctn
from scipy.ndimage import uniform_filter
from torch.nn import functional as F

from irnas_lib.data.pictures import luma

PATCH = 8
BACKGROUND_COMPONENTS, RAIN_COMPONENTS = 200, 20
ALPHA, BETA, GAMMA = 0.05, 0.01, 0.01
OMEGAS = (1, 2, 4, 8, 16)
REGION = 100  # side in pixels of the flat part of the picture that the rain is learnt from
FLOOR = 1e-5  # added to a covariance's diagonal; patches less their means are singular
CHUNK = 4096  # patches at a time


class GMM(NamedTuple):
    """Gaussian mixture of K components in D dimensions: weights (K,), means (K, D), covariances (K, D, D)."""

    weights: torch.Tensor
    means: torch.Tensor
    covariances: torch.Tensor

    def noisy(self, variance: float) -> "GMM":
        """The mixture of the same points under white noise of `variance`."""
        return self._replace(covariances=self.covariances + variance * torch.eye(self.means.shape[1]).to(self.means))

    def natural(self) -> torch.Tensor:
        """The parameters whose product with the moments of a point is log p(point, component), (1 + D + D^2, K)."""
        precision = torch.linalg.inv(self.covariances)
        linear = torch.einsum("kij,kj->ki", precision, self.means)
        constant = self.weights.log() + 0.5 * (torch.logdet(precision) - self.means.shape[1] * np.log(2 * np.pi)
                                               - (linear * self.means).sum(dim=1))
        return torch.cat([constant[:, None], linear, -0.5 * precision.flatten(1)], dim=1).T


def moments(x: torch.Tensor) -> torch.Tensor:
    """1, x and x x^T of points (N, D), side by side, (N, 1 + D + D^2): all that a Gaussian needs to know of them."""
    return torch.cat([torch.ones_like(x[:, :1]), x, (x[:, :, None] * x[:, None]).flatten(1)], dim=1)


def fit_gmm(patches: torch.Tensor, components: int, seed: int, iterations: int = 25) -> GMM:
    """Fits a mixture to points (N, D) by expectation maximisation, from round components on `components` of the points.

    Raises ValueError for fewer points than components.
    """
    if len(patches) < components:
        raise ValueError(f"{len(patches)} patches are too few for {components} components")
    order = torch.randperm(len(patches), generator=torch.Generator().manual_seed(seed))
    means = patches[order[:components]]
    gmm = GMM(torch.full_like(means[:, 0], 1 / components), means,
              (patches.var(dim=0).mean() + FLOOR) * torch.eye(means.shape[1]).to(means).expand(components, -1, -1))
    for _ in range(iterations):
        natural = gmm.natural()
        gmm = from_moments(sum((x @ natural).softmax(dim=1).T @ x for x in map(moments, patches.split(CHUNK))))
    return gmm


def from_moments(sums: torch.Tensor) -> GMM:
    """The likeliest mixture for points whose moments, by their shares in the components, add up to (K, 1 + D + D^2)."""
    counts = sums[:, :1] + torch.finfo(sums.dtype).eps
    dimensions = isqrt(sums.shape[1] - 1)
    means, squares = (sums[:, 1:] / counts).split([dimensions, dimensions ** 2], dim=1)
    covariances = squares.unflatten(1, (dimensions, dimensions)) - means[:, :, None] * means[:, None]
    return GMM(counts[:, 0] / counts.sum(), means, covariances).noisy(FLOOR)


def to_patches(layer: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All overlapping patches of a picture (H, W), less their means, (N, 64), and these means, (N, 1)."""
    patches = layer.unfold(0, PATCH, 1).unfold(1, PATCH, 1).reshape(-1, PATCH * PATCH)
    means = patches.mean(dim=1, keepdim=True)
    return patches - means, means


def average_patches(patches: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """The picture (H, W) of `shape` that averages overlapping patches (N, 64), in the order of to_patches."""
    columns = torch.stack([patches.T, torch.ones_like(patches.T)])
    total, count = F.fold(columns, shape, PATCH).squeeze(1)
    return total / count


def denoise(layer: torch.Tensor, gmm: GMM, variance: float) -> torch.Tensor:
    """A picture (H, W) after the Wiener filter of each patch's likeliest component, for noise of `variance`."""
    patches, patch_means = to_patches(layer)
    noisy = gmm.noisy(variance)
    filters = torch.linalg.solve(noisy.covariances, gmm.covariances)  # symmetric, for the two commute
    natural = noisy.natural()
    for chunk in patches.split(CHUNK):  # views: written in place
        best = (moments(chunk) @ natural).argmax(dim=1)
        for k in best.unique():
            chunk[best == k] = (chunk[best == k] - gmm.means[k]) @ filters[k] + gmm.means[k]
    return average_patches(patches + patch_means, tuple(layer.shape))


def flattest_region(layer: torch.Tensor) -> torch.Tensor:
    """The square of side REGION, at most the picture, (H, W), whose patch means vary least: hardly any background."""
    side = min(REGION, *layer.shape)
    smooth = uniform_filter(layer.double().numpy(), PATCH)
    variance = uniform_filter(smooth ** 2, side) - uniform_filter(smooth, side) ** 2
    half, (height, width) = side // 2, layer.shape
    inside = variance[half:half + height - side + 1, half:half + width - side + 1]
    top, left = np.unravel_index(inside.argmin(), inside.shape)
    return layer[top:top + side, left:left + side]


def separate(observed: torch.Tensor, background_prior: GMM, rain_prior: GMM) -> tuple[torch.Tensor, torch.Tensor]:
    """The background and rain layers, (H, W) each, of a luma picture (H, W) in [0, 1]."""
    background, rain = observed, torch.zeros_like(observed)
    for omega in OMEGAS:
        variance = GAMMA / (2 * omega)
        layers = solve(observed, denoise(background, background_prior, variance), denoise(rain, rain_prior, variance),
                       [F.softshrink(background.diff(dim=dim), ALPHA / (2 * omega)) for dim in (0, 1)], omega)
        background, rain = (layer.clamp(min=0).minimum(observed) for layer in layers)
    return background, rain


def solve(observed: torch.Tensor, background: torch.Tensor, rain: torch.Tensor, gradient: Sequence[torch.Tensor],
          omega: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The layers B and R, (H, W) each, that minimise ::

        |observed - B - R|^2 + BETA |R|^2 + omega (|B - background|^2 + |R - rain|^2 + |grad B - gradient|^2).

    gradient: differences of neighbours along the rows' and the columns' dimension, (H - 1, W) and (H, W - 1).
    """
    # With R eliminated, a linear equation in B whose eigenvectors are cosines.
    rows, columns = (2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in observed.shape)
    laplacian = torch.from_numpy(rows[:, None] + columns).to(observed)
    divergence = sum(_transposed_difference(part, dim) for dim, part in enumerate(gradient))
    stiffness = 1 + BETA + omega
    right = observed + omega * (background + divergence) - (observed + omega * rain) / stiffness
    cosines = torch.from_numpy(dctn(right.numpy())) / (1 + omega * (1 + laplacian) - 1 / stiffness)
    solution = torch.from_numpy(idctn(cosines.numpy()))
    return solution, (observed - solution + omega * rain) / stiffness


def _transposed_difference(x: torch.Tensor, dim: int) -> torch.Tensor:
    """The adjoint of tensor.diff(dim=dim)."""
    zero = torch.zeros_like(x.narrow(dim, 0, 1))
    return -torch.cat([zero, x, zero], dim=dim).diff(dim=dim)


def fit_background(cleans: Sequence[torch.Tensor], patches: int = 50_000, seed: int = 0) -> GMM:
    """The background prior: a mixture fitted to `patches` random luma patches of clean pictures (3, H, W) in [0, 1]."""
    rng = np.random.default_rng(seed)
    crops = []
    for y in (luma(clean[None])[0, 0] for clean in cleans):
        corners = rng.integers(np.array(y.shape) - PATCH, size=(patches // len(cleans), 2), endpoint=True)
        crops += [y[top:top + PATCH, left:left + PATCH] for top, left in corners]
    points = torch.stack(crops).flatten(1)
    return fit_gmm(points - points.mean(dim=1, keepdim=True), BACKGROUND_COMPONENTS, seed)


def lp(rainy: torch.Tensor, background_prior: GMM, seed: int = 0) -> torch.Tensor:
    """Removes rain: (B, 3, H, W) in [0, 1], on the CPU -> the clean estimate, same shape; chroma stays as it is.

    background_prior: a mixture fitted to clean luma patches, see fit_background. The rain's is fitted here, to each
    picture's flattest region. Raises ValueError for a picture too small for that, of fewer than 20 patches.
    """
    y = luma(rainy).squeeze(1)
    rains = []
    for observed in y:
        rain_prior = fit_gmm(to_patches(flattest_region(observed))[0], RAIN_COMPONENTS, seed)
        rains.append(observed - separate(observed, background_prior, rain_prior)[0])
    return rainy - torch.stack(rains).unsqueeze(1)
