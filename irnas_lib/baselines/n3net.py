"""N3Net (Plötz and Roth 2018, "Neural nearest neighbors networks")."""

import torch
from torch import nn
from torch.nn import functional as F

PATCH, STRIDE = 10, 5  # pixels
WINDOW = 15  # patches a side: where neighbours are looked for
TEMPERATURE = 0.1  # where the temperature network says 0


def conv_norm_relu(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def margins(x: torch.Tensor) -> tuple[int, int, int, int]:
    """(left, right, top, bottom): the pixels that (B, C, H, W) lacks for patches to cover it, on both sides evenly."""
    rows, columns = (-(side - PATCH) % STRIDE for side in x.shape[-2:])
    return columns // 2, columns - columns // 2, rows // 2, rows - rows // 2


def split(x: torch.Tensor) -> torch.Tensor:
    """The patches of a picture padded with zeros, (B, C, H, W) -> (B, rows, columns, C PATCH^2)."""
    x = F.pad(x, margins(x))
    columns = (x.shape[-1] - PATCH) // STRIDE + 1
    return F.unfold(x, PATCH, stride=STRIDE).transpose(1, 2).unflatten(1, (-1, columns))


def join(patches: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The pictures of size `like` that patches make, averaged where they overlap: (B, P, C PATCH^2) -> (B, C, H, W)."""
    ones = torch.ones_like(F.pad(like[:1, :1], margins(like)))
    size = ones.shape[-2:]
    count = F.fold(F.unfold(ones, PATCH, stride=STRIDE), size, PATCH, stride=STRIDE)
    joined = F.fold(patches.transpose(1, 2), size, PATCH, stride=STRIDE) / count
    return F.pad(joined, [-margin for margin in margins(like)])


def candidates(patches: torch.Tensor, row: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The possible neighbours of the patches of one row: all others in the window, which stays inside the picture.

    patches: (B, rows, columns, F) -> the rows of patches in the window, (B, height columns, F), and which of them are
    candidates, (columns, candidates).
    """
    rows, columns = patches.shape[1:3]
    height, width = min(WINDOW, rows), min(WINDOW, columns)
    top = min(max(row - WINDOW // 2, 0), rows - height)
    column = torch.arange(columns, device=patches.device).unsqueeze(1)
    left = (column - WINDOW // 2).clamp(0, columns - width)
    place = torch.arange(height * width - 1, device=patches.device)
    place = place + (place >= (row - top) * width + column - left)  # leaves out the patch itself
    return patches[:, top:top + height].flatten(1, 2), place // width * columns + left + place % width


def squared_distances(patches: torch.Tensor) -> torch.Tensor:
    """(B, rows, columns, F) -> (B, rows columns, candidates). By rows, so that memory does not grow with P^2."""
    distances = []
    for row, queries in enumerate(patches.unbind(1)):
        keys, index = candidates(patches, row)
        distances.append(torch.cdist(queries, keys).square().gather(2, index.expand(len(patches), -1, -1)))
    return torch.cat(distances, dim=1)


def neighbour_weights(similarity: torch.Tensor, k: int) -> torch.Tensor:
    """Draws k candidates without replacement, made continuous (Eqs. 8 to 10 of the paper).

    similarity: logits, (B, 1, P, candidates) -> the weights of the first ... k-th draw, (B, k, P, candidates).
    """
    weights = []
    for _ in range(k):
        log_weight = similarity.log_softmax(dim=3)
        weights.append(log_weight.exp())
        rest = -torch.expm1(log_weight)  # 1 - weight: 0 for a candidate that takes all, whose logarithm must be finite
        similarity = similarity + rest.clamp(min=torch.finfo(rest.dtype).tiny).log()
    return torch.cat(weights, dim=1)


def weighted_sums(weights: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
    """(B, k, P, candidates), (B, rows, columns, F) -> (B, k, P, F)."""
    sums = []
    columns = patches.shape[2]
    for row, share in enumerate(weights.split(columns, dim=2)):
        keys, index = candidates(patches, row)
        dense = share.new_zeros(*share.shape[:3], keys.shape[1]).scatter(3, index.expand_as(share), share)
        sums.append((dense.flatten(1, 2) @ keys).unflatten(1, (-1, columns)))
    return torch.cat(sums, dim=2)


class N3Block(nn.Module):
    """Appends to features those of k soft neighbours of each patch, which are found in a learned embedding.

    forward: (B, C, H, W) -> (B, C + k C, H, W): the features, then for each neighbour what it differs by.
    """

    def __init__(self, features: int, width: int, k: int):
        super().__init__()
        self.k = k
        self.embed, self.temperature = (
            nn.Sequential(conv_norm_relu(features, width), conv_norm_relu(width, width),
                          nn.Conv2d(width, outputs, 3, padding=1)) for outputs in (features, 1))
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        similarity = self.norm(-squared_distances(split(self.embed(x))).unsqueeze(1))
        log_temperature = split(self.temperature(x)).mean(dim=3).view(len(x), 1, -1, 1)
        weights = neighbour_weights(similarity / (TEMPERATURE * log_temperature.exp()), self.k)
        neighbours = weighted_sums(weights, split(x)).transpose(1, 2).flatten(2)
        return torch.cat([x, join(neighbours, x) - x.repeat(1, self.k, 1, 1)], dim=1)


class Stage(nn.Module):
    """A DnCNN of six convolutions that adds its input to its output in the channels that both have."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.common = min(inputs, outputs)
        self.layers = nn.Sequential(nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(),
                                    *(conv_norm_relu(width, width) for _ in range(4)),
                                    nn.Conv2d(width, outputs, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layers(x)
        return torch.cat([y[:, :self.common] + x[:, :self.common], y[:, self.common:]], dim=1)


class N3Net(nn.Module):
    """Three short DnCNNs with a block of neural nearest neighbours after each but the last.

    The first channels carry the degraded picture through to the end, so that all but the picture is a residual.
    As in the authors' program, sides that patches of 10x10 at every 5 pixels do not cover are padded with zeros, and
    the 15x15 patches where neighbours are looked for stay inside the picture; a smaller one has fewer candidates.
    forward: (B, channels, H, W) in [0, 1], sides of 10 pixels or more -> the clean estimate, same shape, not clipped.
    """

    def __init__(self, channels: int = 1, width: int = 64, features: int = 8, k: int = 7):
        super().__init__()
        wide = (1 + k) * features
        self.layers = nn.Sequential(
            Stage(channels, features, width), N3Block(features, width, k),
            Stage(wide, features, width), N3Block(features, width, k), Stage(wide, channels, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)
