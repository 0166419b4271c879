"""LP and DSC: every step against scipy, least squares or its own objective, and the whole on synthetic rain."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import multivariate_normal
from skimage import data

from irnas_lib.baselines import dsc, lp
from irnas_lib.data.rain import add_rain
from irnas_lib.evaluation.protocols import luma
from irnas_lib.metrics import psnr


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def mixture(components, dimensions, seed=0):
    factors = 0.1 * normal(components, dimensions, dimensions, seed=seed)
    return lp.GMM(torch.rand(components, generator=torch.Generator().manual_seed(seed)).double().softmax(dim=0),
                  0.2 * normal(components, dimensions, seed=seed + 1),
                  factors @ factors.mT + 0.01 * torch.eye(dimensions, dtype=torch.float64))


def log_densities(gmm, points, variance=0):
    """log p(point, component) by scipy, (N, K)."""
    noise = variance * np.eye(points.shape[-1])
    return np.stack([np.log(weight) + multivariate_normal(mean, covariance + noise).logpdf(points)
                     for weight, mean, covariance in zip(*(part.numpy() for part in gmm))], axis=-1)


def photograph(height, width):
    """A crop of a photograph and the same under synthetic rain, (1, 3, H, W) float32."""
    clean = data.astronaut()[:height, 160:160 + width] / np.float32(255)
    rainy = add_rain(clean, seed=0, length=15, angle=10, density=0.004)
    return (torch.from_numpy(x.transpose(2, 0, 1).copy())[None] for x in (clean, rainy))


def test_mixture_density_is_scipys():
    gmm, points = mixture(4, 6), 0.3 * normal(50, 6, seed=2)
    for variance in (0, 0.05):
        found = lp.moments(points) @ gmm.noisy(variance).natural()
        np.testing.assert_allclose(found, log_densities(gmm, points.numpy(), variance), rtol=1e-9)


def test_one_step_of_the_fit_is_that_of_plain_sums():
    points = normal(300, 3) * torch.tensor([1.0, 0.2, 0.5])
    before, after = (lp.fit_gmm(points, 4, seed=0, iterations=n) for n in (2, 3))
    x, joint = points.numpy(), log_densities(before, points.numpy())
    shares = np.exp(joint) / np.exp(joint).sum(axis=1, keepdims=True)
    for k, share in enumerate(shares.T):
        assert float(after.weights[k]) == pytest.approx(share.mean())
        np.testing.assert_allclose(after.means[k], np.average(x, axis=0, weights=share), atol=1e-9)
        expected = np.cov(x.T, aweights=share, ddof=0) + lp.FLOOR * np.eye(3)
        np.testing.assert_allclose(after.covariances[k], expected, atol=1e-9)


def test_the_fit_finds_well_separated_components():
    centres = torch.tensor([[-3.0, 0], [0, 3], [3, 0]], dtype=torch.float64)
    points = torch.cat([centre + scale * normal(n, 2, seed=n)
                        for centre, scale, n in zip(centres, (0.2, 0.4, 0.6), (500, 300, 200))])
    gmm = lp.fit_gmm(points, 3, seed=3, iterations=40)
    order = gmm.means[:, 0].argsort()
    torch.testing.assert_close(gmm.means[order], centres, atol=0.15, rtol=0)
    torch.testing.assert_close(gmm.weights[order], torch.tensor([0.5, 0.3, 0.2]).double(), atol=0.01, rtol=0)
    deviations = gmm.covariances[order].diagonal(dim1=1, dim2=2).sqrt()
    torch.testing.assert_close(deviations, torch.tensor([[0.2], [0.4], [0.6]]).double().expand(3, 2), atol=0.06, rtol=0)


def test_a_fit_to_too_few_points_is_refused():
    with pytest.raises(ValueError, match="3 patches are too few for 4 components"):
        lp.fit_gmm(normal(3, 2), 4, seed=0)


@pytest.mark.parametrize(("module", "size"), ((lp, (9, 14)), (dsc, (18, 22))))
def test_averaged_patches_give_the_picture_back(module, size):
    picture = normal(*size)
    patches, means = module.to_patches(picture)
    assert patches.mean(dim=1).abs().max() < 1e-12
    torch.testing.assert_close(module.average_patches(patches + means, size), picture)


def test_lp_filters_every_patch_by_its_likeliest_component():
    gmm, variance, size = mixture(3, 64), 0.02, (11, 13)
    picture = normal(*size, seed=5).numpy()
    total, count = np.zeros(size), np.zeros(size)
    used = set()
    for top in range(size[0] - 7):
        for left in range(size[1] - 7):
            window = (slice(top, top + 8), slice(left, left + 8))
            patch = picture[window].ravel()
            centred = patch - patch.mean()
            k = log_densities(gmm, centred, variance).argmax()
            used.add(k)
            mean, covariance = gmm.means[k].numpy(), gmm.covariances[k].numpy()
            wiener = covariance @ np.linalg.inv(covariance + variance * np.eye(64))
            total[window] += (mean + wiener @ (centred - mean) + patch.mean()).reshape(8, 8)
            count[window] += 1
    assert len(used) > 1
    np.testing.assert_allclose(lp.denoise(torch.from_numpy(picture), gmm, variance), total / count, atol=1e-9)


def test_lps_layers_minimise_the_quadratic_objective():
    size, omega = (7, 10), 3
    observed, background, rain = (normal(*size, seed=seed) for seed in range(3))
    gradient = [normal(6, 10, seed=3), normal(7, 9, seed=4)]
    b, r = (layer.requires_grad_() for layer in lp.solve(observed, background, rain, gradient, omega))
    objective = ((observed - b - r) ** 2).sum() + lp.BETA * (r ** 2).sum() + omega * (
        ((b - background) ** 2).sum() + ((r - rain) ** 2).sum()
        + ((b[1:] - b[:-1] - gradient[0]) ** 2).sum() + ((b[:, 1:] - b[:, :-1] - gradient[1]) ** 2).sum())
    objective.backward()
    assert max(b.grad.abs().max(), r.grad.abs().max()) < 1e-12


def test_the_rain_is_learnt_where_the_picture_is_flattest(monkeypatch):
    monkeypatch.setattr(lp, "REGION", 20)
    picture = normal(50, 60).abs().cumsum(dim=1)
    picture[17:41, 23:47] = 0.5
    assert lp.flattest_region(picture).shape == (20, 20)
    assert (lp.flattest_region(picture) == 0.5).all()
    assert lp.flattest_region(picture[:15]).shape == (15, 15)


def test_lp_removes_rain_and_keeps_chroma(monkeypatch):
    monkeypatch.setattr(lp, "BACKGROUND_COMPONENTS", 10)
    clean, rainy = photograph(40, 37)
    prior = lp.fit_background([clean[0]], patches=300)
    assert prior.means.shape == (10, 64)
    check_removal(clean, rainy, lp.lp(rainy, prior))


def check_removal(clean, rainy, restored):
    assert psnr(restored, clean) > psnr(rainy, clean) + 0.5
    removed = rainy - restored
    torch.testing.assert_close(removed, luma(removed).expand_as(removed), atol=1e-6, rtol=0)
    assert removed.min() >= -1e-6 and luma(restored).min() >= -1e-6


def test_sparse_codes_are_those_of_plain_matching_pursuit():
    dictionary = torch.nn.functional.normalize(normal(30, 12), dim=1)
    patches = normal(9, 12, seed=1)
    codes = dsc.sparse_code(patches, dictionary, 4).numpy()
    for patch, code in zip(patches.numpy(), codes):
        atoms, expected, residual = [], np.zeros(30), patch
        for _ in range(4):
            atoms.append(int(np.abs(dictionary.numpy() @ residual).argmax()))
            weights = np.linalg.lstsq(dictionary.numpy()[atoms].T, patch)[0]
            residual = patch - weights @ dictionary.numpy()[atoms]
        expected[atoms] = weights
        np.testing.assert_allclose(code, expected, atol=1e-4)


def test_a_patch_that_is_an_atom_is_coded_by_it_alone():
    dictionary = torch.nn.functional.normalize(normal(30, 12), dim=1)
    codes = dsc.sparse_code(2 * dictionary[[7]], dictionary, 4)
    torch.testing.assert_close(codes, 2 * torch.eye(30, dtype=torch.float64)[[7]], atol=1e-4, rtol=0)


def test_a_dictionary_update_is_least_squares_and_leaves_idle_atoms():
    dictionary, patches = torch.nn.functional.normalize(normal(6, 8), dim=1), normal(200, 8, seed=1)
    codes = dsc.sparse_code(patches, dictionary, 2)
    codes[:, 4] = 0
    updated = dsc.update_dictionary(dictionary, codes, patches)
    used = [0, 1, 2, 3, 5]
    expected = np.linalg.lstsq(codes[:, used].numpy(), patches.numpy())[0]
    np.testing.assert_allclose(updated[used], expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)
    assert torch.equal(updated[4], dictionary[4])


def test_a_learnt_dictionary_codes_better_than_random_patches(monkeypatch):
    patches = normal(400, 5) @ normal(5, 16, seed=1) + 0.1 * normal(400, 16, seed=2)
    learnt = dsc.learn_dictionary(patches, 20, 3, seed=0)
    monkeypatch.setattr(dsc, "TRAINING_ROUNDS", 0)
    random = dsc.learn_dictionary(patches, 20, 3, seed=0)
    assert learnt.shape == random.shape == (20, 16)
    errors = [(patches - dsc.sparse_code(patches, d, 3) @ d).square().mean() for d in (learnt, random)]
    assert errors[0] < 0.9 * errors[1]


def test_no_atom_serves_both_layers_of_a_patch():
    background, rain = torch.tensor([[3.0, -1, 0, 2]]), torch.tensor([[-2.0, 4, 5, 0]])
    assert [code.tolist() for code in dsc.exclusive(background, rain)] == [[[3, 0, 0, 2]], [[0, 4, 5, 0]]]


@pytest.mark.parametrize(("observed", "layer", "sparse"), (
    (0.7, 0.3, 0.2), (0.7, 0.3, 0.9), (0.4, 0.1, 2.0), (0.4, 0.6, -1.0)))
def test_dscs_layer_minimises_its_objective(observed, layer, sparse):
    expected = minimize_scalar(lambda x: (observed - layer - x + layer * x) ** 2 + dsc.TRUST * (x - sparse) ** 2,
                               bounds=(0, observed), options={"xatol": 1e-9}).x
    found = dsc.balance(*(torch.tensor(value, dtype=torch.float64) for value in (observed, layer, sparse)))
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_the_screen_blend_is_undone():
    layer, other = torch.rand(2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(dsc.under_screen(layer + other - layer * other, layer), other)


@pytest.mark.parametrize("size", ((48, 40), (45, 37)))
def test_dsc_removes_rain_and_keeps_chroma(size):
    clean, rainy = photograph(*size)
    restored = dsc.dsc(rainy)
    assert restored.shape == rainy.shape
    check_removal(clean, rainy, restored)
