"""Synthetic rain for the embedded photographs: straight streaks, blended over the picture.

Rain800 was made by an editor's noise and motion blur; this is the same idea in a few lines. A sparse field of
drops is smeared along one direction, and what comes out is a streak layer R in [0, 1].
"""

import numpy as np

LENGTH = (12, 30)  # pixels
ANGLE = (-30.0, 30.0)  # degrees from the vertical
DENSITY = (0.002, 0.004)  # drops a pixel; with the brightness, about 21 dB as in Rain800
BRIGHTNESS = (0.2, 0.8)  # of one streak


def add_rain(
    clean: np.ndarray,
    seed: int,
    length: int | None = None,
    angle: float | None = None,
    density: float | None = None,
    mode: str = "screen",
) -> np.ndarray:
    """Lay rain over a picture; what is not given is drawn from the ranges of this module, by the seed.

    Args:
        clean: float array (H, W, 3) in [0, 1].
        seed: the same seed and arguments give the same rain.
        length: of a streak along its direction, in pixels, at least 1.
        angle: of the fall, in degrees from the vertical, above -90 and below 90; positive falls to the right.
        density: share of the pixels where a streak begins, 0 to 1.
        mode: "screen" for B + R - B R (Luo 2015), "additive" for B + R cut off at 1.

    Returns:
        float32 array (H, W, 3) in [0, 1], nowhere darker than `clean`.

    Raises:
        ValueError: an argument outside its range.
    """
    generator = np.random.default_rng(seed)
    # All are drawn even where one is given, so that giving one leaves the others as they were.
    drawn = generator.integers(*LENGTH, endpoint=True), generator.uniform(*ANGLE), generator.uniform(*DENSITY)
    length, angle, density = (
        d if g is None else g for d, g in zip(drawn, (length, angle, density), strict=True)
    )
    if mode not in ("screen", "additive"):
        raise ValueError(f"mode {mode!r}: must be 'screen' or 'additive'")
    if length < 1 or not -90 < angle < 90 or not 0 <= density <= 1:
        raise ValueError(f"length {length}, angle {angle}, density {density}: outside the range of add_rain")
    clean = np.asarray(clean, dtype=np.float32)
    streaks = rain_streaks(clean.shape[:2], generator, int(length), angle, density)[..., None]
    return clean + streaks - clean * streaks if mode == "screen" else np.minimum(clean + streaks, 1)


def rain_streaks(
    shape: tuple[int, int], generator: np.random.Generator, length: int, angle: float, density: float
) -> np.ndarray:
    """The streak layer R: float32 (H, W) in [0, 1]. Where streaks cross, the brighter one shows."""
    height, width = shape
    margin = length  # drops outside the picture, whose streaks fall into it
    field = (height + 2 * margin, width + 2 * margin)
    brightness = generator.uniform(*BRIGHTNESS, size=field).astype(np.float32)
    drops = brightness * (generator.random(field) < density)
    streaks = np.zeros(shape, dtype=np.float32)
    for step in range(length):
        down = round(step * np.cos(np.radians(angle)))
        right = round(step * np.sin(np.radians(angle)))
        top, left = margin - down, margin - right
        np.maximum(streaks, drops[top : top + height, left : left + width], out=streaks)
    return streaks
