"""WNNM (Gu et al. 2014, "Weighted nuclear norm minimization with application to image denoising").

Similar patches, as rows of one matrix, have nearly low rank. Every such group is denoised by shrinking its singular
values, small ones more than large ones; a pixel is the mean of all patches that cover it. Then the same again.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numba import prange

from irnas_lib.runtime import njit

SEARCH = 30  # pixels up, down, left and right, within which similar patches are sought
STRENGTH = 2 * math.sqrt(2)  # of the weights
REWEIGHTINGS = 3
FEEDBACK = 0.1  # part of the removed noise that each iteration begins by adding back
EPS = 1e-16  # keeps the weight of a vanished singular value finite
REMATCH = 2  # iterations from one block matching to the next
FEWER = 10  # patches by which each matching makes the groups smaller, the first one too
SHARES = 16  # of the groups: a thread adds up whole shares, so that no sum depends on the number of threads


class Settings(NamedTuple):
    """What depends on the noise: a patch's side in pixels, a group's patches, iterations, and a factor on the
    deviation of the noise that is left after the first of them."""

    patch: int
    group: int
    iterations: int
    remaining: float


def settings(sigma: float) -> Settings:
    """The paper's parameters for noise of `sigma` grey levels of 255."""
    if sigma <= 20:
        return Settings(6, 70, 8, 0.54)
    if sigma <= 40:
        return Settings(7, 90, 12, 0.56)
    if sigma <= 60:
        return Settings(8, 120, 14, 0.58)
    return Settings(9, 140, 14, 0.58)


def wnnm(degraded: torch.Tensor, sigma: float) -> torch.Tensor:
    """Removes white noise of `sigma` grey levels of 255, every channel by itself.

    (B, C, H, W), not clipped -> the clean estimate, same shape, float32, not clipped. Raises ValueError for pictures
    too small to fill a group.
    """
    planes = [denoise(plane, sigma) for plane in degraded.float().flatten(0, 1).numpy()]
    return torch.from_numpy(np.stack(planes)).view(degraded.shape)


def denoise(noisy: np.ndarray, sigma: float) -> np.ndarray:
    """One channel, float32 (H, W) -> (H, W)."""
    patch, group, iterations, remaining = settings(sigma)
    if math.prod(min(length - patch, SEARCH) + 1 for length in noisy.shape) < group - FEWER:  # a corner has fewest
        raise ValueError(f"{noisy.shape[0]}x{noisy.shape[1]} pixels are too few for groups of {group - FEWER} patches")
    rows, columns = (starts(length, patch) for length in noisy.shape)
    sigma = sigma / 255
    estimate, noise = noisy, np.full((len(rows), len(columns)), sigma)
    for iteration in range(iterations):
        estimate = estimate + np.float32(FEEDBACK) * (noisy - estimate)
        if iteration:
            removed = np.lib.stride_tricks.sliding_window_view((noisy - estimate) ** 2, (patch, patch))
            noise = remaining * np.sqrt(np.abs(sigma ** 2 - removed[np.ix_(rows, columns)].mean(axis=(2, 3))))
        if iteration % REMATCH == 0:
            group -= FEWER
            matches = match(estimate, rows, columns, patch, group)
        estimate = shrink_groups(estimate, matches, noise.ravel(), patch)
    return estimate


def starts(length: int, patch: int) -> np.ndarray:
    """Where the reference patches begin along one side; the last ends at the border."""
    return np.array([*range(0, length - patch, patch // 2 - 1), length - patch])


def match(picture: np.ndarray, rows: np.ndarray, columns: np.ndarray, patch: int, count: int) -> np.ndarray:
    """Block matching: the `count` patches nearest to each reference patch, itself among them, in no order.

    -> (references, count), each patch as its upper left corner's index into the flat picture.
    """
    side = 2 * SEARCH + 1
    matches = []
    for y in rows:
        candidates = torch.from_numpy(distances(picture, y, columns, patch))
        nearest = candidates.topk(count, largest=False, sorted=False).indices.numpy()
        v, u = y - SEARCH + nearest // side, columns[:, None] - SEARCH + nearest % side
        matches.append(v * picture.shape[1] + u)
    return np.concatenate(matches)


@njit(parallel=True, nogil=True)
def distances(picture, y, columns, patch):
    """Squared distances of the patches at (y, columns) to all up to SEARCH pixels away, infinite where there is none.

    Computed shift by shift, so that all patches share the squared differences. -> (columns, shifts in y and x)
    """
    height, width = picture.shape
    side, reach = 2 * SEARCH + 1, min(SEARCH, width - patch)
    result = np.full((len(columns), side * side), np.inf, picture.dtype)
    for v in prange(max(y - SEARCH, 0), min(y + SEARCH, height - patch) + 1):
        for shift in range(-reach, reach + 1):
            first, end = max(-shift, 0), min(width - shift, width)
            squares = np.zeros(end - first, picture.dtype)
            sums = np.zeros(end - first - patch + 1, picture.dtype)
            for i in range(patch):
                here, there = picture[y + i, first:end], picture[v + i, first + shift:end + shift]
                for x in range(len(squares)):
                    squares[x] += (here[x] - there[x]) ** 2
            for i in range(patch):
                for x in range(len(sums)):
                    sums[x] += squares[x + i]
            for c in range(len(columns)):
                if first <= columns[c] <= end - patch:
                    result[c, (v - y + SEARCH) * side + shift + SEARCH] = sums[columns[c] - first]
    return result


def shrink_groups(picture: np.ndarray, matches: np.ndarray, noise: np.ndarray, patch: int) -> np.ndarray:
    """The mean of all patches of all groups after `shrink`, (H, W); `noise` holds a deviation for each group."""
    total, count = np.zeros((2, SHARES, *picture.shape), picture.dtype)
    add_groups(picture, matches, noise, patch, total, count)
    return total.sum(axis=0) / count.sum(axis=0)


@njit(parallel=True, nogil=True)
def add_groups(picture, matches, noise, patch, total, count):
    """Adds the patches of shrunk groups to total, (SHARES, H, W), where they lie, and one to count."""
    width = picture.shape[1]
    n = matches.shape[1]
    for share in prange(SHARES):
        group = np.empty((n, patch * patch), picture.dtype)
        for g in range(share, len(matches), SHARES):
            for i in range(n):
                y, x = matches[g, i] // width, matches[g, i] % width
                for k in range(patch * patch):
                    group[i, k] = picture[y + k // patch, x + k % patch]
            shrunk = shrink(group, noise[g])
            for i in range(n):
                y, x = matches[g, i] // width, matches[g, i] % width
                for k in range(patch * patch):
                    total[share, y + k // patch, x + k % patch] += shrunk[i, k]
                    count[share, y + k // patch, x + k % patch] += 1


@njit()
def shrink(group, sigma):
    """Weighted nuclear norm minimisation of one group around its mean patch, (n, pixels) -> same shape."""
    n = len(group)
    mean = group.sum(axis=0) / group.dtype.type(n)
    centred = group - mean
    squares, vectors = np.linalg.eigh(centred.T @ centred)  # squared singular values, right singular vectors
    gains = np.zeros_like(squares)
    for k, square in enumerate(squares):
        if square > n * sigma ** 2:
            value, shrunk = math.sqrt(square), math.sqrt(square - n * sigma ** 2)
            for _ in range(REWEIGHTINGS):
                shrunk = max(value - STRENGTH * math.sqrt(n) * sigma ** 2 / (shrunk + EPS), 0)
            gains[k] = shrunk / value
    return mean + centred @ ((vectors * gains) @ vectors.T)
