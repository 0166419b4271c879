"""DSC (Luo et al. 2015, "Removing rain from a single image via discriminative sparse coding").

A re-implementation from the paper's idea, not its program. On the luma, rain lies over the background as a screen
blend, O = B + R - B R. Patches of both layers are sparse over one dictionary, learnt from the picture itself, and
mutually exclusive: no atom serves both layers of a patch. The first guess of the layers, a grey opening that
takes thin bright structures for rain, and the dictionary's updates are ours.
"""

import torch
from scipy.ndimage import grey_opening
from torch.nn import functional as F

from irnas_lib.data.pictures import luma

PATCH, STRIDE = 16, 2
BACKGROUND_ATOMS, RAIN_ATOMS = 512, 128
BACKGROUND_SPARSITY, RAIN_SPARSITY = 5, 8  # atoms of one patch
TRAINING_PATCHES, TRAINING_ROUNDS = 10_000, 5
ROUNDS = 5
OPENING = 3  # side in pixels: brighter structures that are thinner start as rain
TRUST = 1.0  # weight of the sparse layers against the blend
RIDGE = 1e-6  # keeps least squares over nearly equal atoms solvable
CHUNK = 4096  # patches at a time


def dsc(rainy: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Removes rain: (B, 3, H, W) in [0, 1], on the CPU, sides of at least 16 pixels -> the clean estimate, same shape;
    chroma stays as it is."""
    y = luma(rainy).squeeze(1)
    backgrounds = torch.stack([separate(observed, seed)[0] for observed in y])
    return rainy - (y - backgrounds).unsqueeze(1)


def separate(observed: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The background and rain layers, (H, W) each, of a luma picture (H, W) in [0, 1]."""
    height, width = observed.shape
    observed = F.pad(observed[None], (0, width % STRIDE, 0, height % STRIDE), mode="replicate")[0]  # patches fit
    background = torch.from_numpy(grey_opening(observed.numpy(), (OPENING, OPENING)))
    rain = under_screen(observed, background)
    dictionary = torch.cat([
        learn_dictionary(to_patches(background)[0], BACKGROUND_ATOMS, BACKGROUND_SPARSITY, seed),
        learn_dictionary(to_patches(rain)[0], RAIN_ATOMS, RAIN_SPARSITY, seed)])
    for _ in range(ROUNDS):
        patches, means = zip(*(to_patches(layer) for layer in (background, rain)))
        codes = exclusive(*(sparse_code(layer, dictionary, sparsity)
                            for layer, sparsity in zip(patches, (BACKGROUND_SPARSITY, RAIN_SPARSITY))))
        sparse_background, sparse_rain = (average_patches(code @ dictionary + mean, observed.shape)
                                          for code, mean in zip(codes, means))
        background = balance(observed, rain, sparse_background)
        rain = balance(observed, background, sparse_rain)
        dictionary = update_dictionary(dictionary, torch.cat(codes), torch.cat(patches))
    return background[:height, :width], rain[:height, :width]


def under_screen(observed: torch.Tensor, layer: torch.Tensor) -> torch.Tensor:
    """The other layer of a screen blend, observed = layer + other - layer other, in [0, 1]."""
    return ((observed - layer) / (1 - layer).clamp(min=RIDGE)).clamp(0, 1)


def balance(observed: torch.Tensor, layer: torch.Tensor, sparse: torch.Tensor) -> torch.Tensor:
    """The other layer X that minimises (O - L - X + L X)^2 + TRUST (X - sparse)^2, in [0, O]."""
    clear = 1 - layer
    return ((clear * (observed - layer) + TRUST * sparse) / (clear ** 2 + TRUST)).clamp(min=0).minimum(observed)


def to_patches(layer: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Patches of a picture (H, W) every STRIDE pixels, less their means, (N, 256), and these means, (N, 1)."""
    patches = F.unfold(layer[None, None], PATCH, stride=STRIDE)[0].T
    means = patches.mean(dim=1, keepdim=True)
    return patches - means, means


def average_patches(patches: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """The picture (H, W) of `shape` that averages overlapping patches (N, 256), in the order of to_patches."""
    columns = torch.stack([patches.T, torch.ones_like(patches.T)])
    total, count = F.fold(columns, shape, PATCH, stride=STRIDE).squeeze(1)
    return total / count


def learn_dictionary(patches: torch.Tensor, atoms: int, sparsity: int, seed: int) -> torch.Tensor:
    """A dictionary of unit atoms, (atoms, D), for patches (N, D): random patches, improved in turn with the codes."""
    order = torch.randperm(len(patches), generator=torch.Generator().manual_seed(seed))
    patches = patches[order[:TRAINING_PATCHES]]
    dictionary = F.normalize(patches[:atoms], dim=1)
    for _ in range(TRAINING_ROUNDS):
        dictionary = update_dictionary(dictionary, sparse_code(patches, dictionary, sparsity), patches)
    return dictionary


def sparse_code(patches: torch.Tensor, dictionary: torch.Tensor, sparsity: int) -> torch.Tensor:
    """Orthogonal matching pursuit: codes (N, K), at most `sparsity` nonzeros each, of patches (N, D) over unit atoms
    (K, D)."""
    return torch.cat([_pursue(chunk, dictionary, sparsity) for chunk in patches.split(CHUNK)])


def _pursue(patches: torch.Tensor, dictionary: torch.Tensor, sparsity: int) -> torch.Tensor:
    residual, chosen = patches, torch.empty(len(patches), 0, dtype=torch.long)
    for _ in range(sparsity):
        match = (residual @ dictionary.T).abs().scatter(1, chosen, -1)  # no atom twice
        chosen = torch.cat([chosen, match.argmax(dim=1, keepdim=True)], dim=1)
        atoms = dictionary[chosen]
        gram = atoms @ atoms.mT + RIDGE * torch.eye(chosen.shape[1]).to(atoms)
        weights = torch.linalg.solve(gram, atoms @ patches[:, :, None])
        residual = patches - (weights.mT @ atoms).squeeze(1)
    return patches.new_zeros(len(patches), len(dictionary)).scatter(1, chosen, weights.squeeze(2))


def exclusive(background: torch.Tensor, rain: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes (N, K) of the two layers' patches, without the smaller of two weights on one atom."""
    stronger = background.abs() >= rain.abs()
    return background * stronger, rain * ~stronger


def update_dictionary(dictionary: torch.Tensor, codes: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
    """The unit atoms (K, D) with which codes (N, K) fit patches (N, D) best (the method of optimal directions, K-SVD's
    step for all atoms at once); an atom that no patch uses stays."""
    gram = codes.T @ codes + RIDGE * torch.eye(len(dictionary)).to(codes)
    atoms = torch.linalg.solve(gram, codes.T @ patches)
    return torch.where(codes.any(dim=0)[:, None], F.normalize(atoms, dim=1), dictionary)
