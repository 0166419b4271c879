from irnas_lib.data.tiles import TILE, corners, restore_tiles
from irnas_lib.evaluation.protocols import add_noise


def restore_in_tiles(restore, clean, sigma, seed, name):
    noisy = add_noise(clean, sigma, seed, name)
    tiles = [noisy[..., top:top + TILE, left:left + TILE] for top, left in corners(clean.shape)]
    return restore_tiles(restore, tiles, clean.shape)
