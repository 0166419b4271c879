"""A trained network made ready to restore pictures."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights

from irnas_lib.data.datasets import Picture
from irnas_lib.data.tiles import pieces
from irnas_lib.operations import Deformable
from irnas_lib.runtime import keep_freed_memory

LARGE = 2 ** 20  # pixels: above it a picture is restored in pieces, so that memory does not grow with the picture
PIECE, MARGIN = 512, 48  # the side of a piece, and how far it sees around itself, in pixels


def folded(network: nn.Module) -> nn.Module:
    """A copy of `network` in evaluation mode, without the batch norms that stand right behind a convolution.

    In evaluation such a batch norm is a fixed scale and shift of each channel, which the convolution's weights and
    bias can hold. The function stays the same, up to rounding; a pass over the features is saved for each.
    """
    network = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(network.modules()):
        if isinstance(module, Deformable):
            norm, module.norm = module.norm, nn.Identity()
            module.weight, module.bias = fuse_conv_bn_weights(
                module.weight, module.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
        elif isinstance(module, nn.Sequential):
            for i, (layer, norm) in enumerate(zip(module, module[1:])):
                if isinstance(layer, nn.Conv2d) and type(norm) is nn.BatchNorm2d:
                    module[i], module[i + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
    return network


def restorer(network: nn.Module, device: torch.device | str) -> Callable[[torch.Tensor], torch.Tensor]:
    """A trained network as a function from degraded to restored batches of any size, on its `device`.

    It works on a folded copy: what happens to the network later does not touch it. Above LARGE pixels a picture goes
    through in pieces.
    """
    keep_freed_memory()
    network = folded(network).to(device, memory_format=torch.channels_last)

    def whole(degraded: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return network(degraded.to(device, memory_format=torch.channels_last)).float()

    def restore(degraded: torch.Tensor) -> torch.Tensor:
        return in_pieces(whole, degraded) if degraded.shape[-2:].numel() > LARGE else whole(degraded)
    restore.device = torch.device(device)
    return restore


def usual(pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures of at most LARGE pixels, which `restorer` takes whole; larger ones would dominate a sample."""
    return [picture for picture in pictures if picture.clean[..., 0].size <= LARGE]


def spread(pictures: Sequence[Picture], number: int) -> Sequence[Picture]:
    """`number` of the pictures, one in every len(pictures) // number; all where there are fewer."""
    return pictures[::max(1, len(pictures) // number)][:number] if number else pictures[:0]


def in_pieces(restore: Callable[[torch.Tensor], torch.Tensor], degraded: torch.Tensor) -> torch.Tensor:
    """Restores (B, C, H, W) piece by piece. The same as at once for a network that looks at most MARGIN pixels far;
    one that sees further (DetailsNet, MemNet, JORDER-R, N3Net) misses a little at the seams, and one that pools over
    the whole picture, or cuts it into tiles (NLRN), does so in a piece and its margin instead."""
    restored = None
    for piece in pieces(*degraded.shape[-2:], PIECE, MARGIN):
        part = restore(degraded[..., *piece.seen])[..., *piece.inside]
        if restored is None:
            restored = part.new_empty(*part.shape[:-2], *degraded.shape[-2:])
        restored[..., *piece.filled] = part
    return restored
