"""Random numbers from a key: the same on every machine, whatever was drawn before."""

import hashlib

import numpy as np


def seed_of(*key) -> int:
    """A seed of 64 bits for a key such as (seed, sigma, picture name)."""
    return int.from_bytes(hashlib.sha256(" ".join(map(str, key)).encode()).digest()[:8], "big")


def noise_generator(*key) -> np.random.Generator:
    """A generator for a key."""
    return np.random.default_rng(seed_of(*key))
