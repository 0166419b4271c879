"""A picture before and after its restoration, as one: a divider between the two, and a crop of both enlarged."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

OVERVIEW = 960  # pixels: the largest width of the whole picture
CROP, CLOSE = 80, 320  # pixels: the side of the crop, and of the square that it is enlarged to
GAP = 8  # pixels, white


def side_by_side(before: np.ndarray, after: np.ndarray, share: float = 0.5,
                 corner: tuple[int, int] | None = None) -> np.ndarray:
    """The whole picture, before to the left of a divider and after to the right; beside it a crop, before above after.

    before, after: uint8 (H, W, 1 or 3), of one shape. share: of the width, where the divider is. corner: the crop's
    (top, left); None takes the square with the most contrast. Returns uint8 (H', W', 3).
    """
    height, width = before.shape[:2]
    side = min(CROP, height, width)
    top, left = contrasting(after, side) if corner is None else corner
    place = slice(top, top + side), slice(left, left + side)
    scale = min(OVERVIEW / width, (2 * CLOSE + GAP) / height)
    scale = scale if scale < 1 else int(scale)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    whole, restored = (_rgb(array).resize(size, method) for array in (before, after))
    cut = round(share * size[0])
    whole.paste(restored.crop((cut, 0, *size)), (cut, 0))

    sheet = Image.new("RGB", (size[0] + GAP + CLOSE, max(size[1], 2 * CLOSE + GAP)), "white")
    draw = ImageDraw.Draw(whole)
    draw.line((cut, 0, cut, size[1]), fill="white", width=2)
    draw.rectangle([round(edge * scale) for edge in (left, top, left + side, top + side)], outline="white", width=2)
    sheet.paste(whole, (0, 0))
    font = ImageFont.load_default(size=18)
    for name, array, y in (("before", before, 0), ("after", after, CLOSE + GAP)):
        close = _rgb(array[place]).resize((CLOSE, CLOSE), Image.Resampling.NEAREST)
        ImageDraw.Draw(close).text((8, 4), name, "white", font, stroke_width=2, stroke_fill="black")
        sheet.paste(close, (size[0] + GAP, y))
    return np.array(sheet)


def contrasting(array: np.ndarray, side: int) -> tuple[int, int]:
    """The corner (top, left) of the square of `side` pixels, of a grid of them, whose grey levels deviate most."""
    rows, columns = (length // side for length in array.shape[:2])
    grey = array[:rows * side, :columns * side, array.shape[2] // 2].astype(np.float32)
    deviation = grey.reshape(rows, side, columns, side).std(axis=(1, 3))
    row, column = np.unravel_index(deviation.argmax(), deviation.shape)
    return int(row) * side, int(column) * side


def _rgb(array: np.ndarray) -> Image.Image:
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array).convert("RGB")
