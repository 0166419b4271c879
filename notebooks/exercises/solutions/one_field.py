from irnas_lib.protocols import add_noise
from irnas_lib.tiles import TILE, corners, restore_tiles


def restore_in_tiles(restore, clean, sigma, seed, name):
    noisy = add_noise(clean, sigma, seed, name)
    tiles = [noisy[..., top:top + TILE, left:left + TILE] for top, left in corners(clean.shape)]
    return restore_tiles(restore, tiles, clean.shape)
