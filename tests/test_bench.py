"""What the benchmark compares is the same computation; what it writes is what is promised. Nothing here is timed."""

import contextlib
import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from test_results import make
from torch.nn import functional as F

from irnas_lib import operations
from irnas_lib.benchmarks import bench, brightness, camera_noise, frame, resumption
from irnas_lib.data import camera, datasets
from irnas_lib.evaluation import protocols
from irnas_lib.experiments import records
from irnas_lib.figures import bench_plots
from irnas_lib.files import ROOT
from irnas_lib.metrics import psnr
from irnas_lib.runtime import measured_peak
from irnas_lib.supercell import Supercell, to_plain

SHIPPED = ROOT / "checkpoints"
KEYS = {"value", "unit", "against", "ratio", "spread", "device"}
PROMISED = {"deform_conv_20", "deform_conv_40", "network_train", "network_infer", "supernet_step", "sharing_memory",
            "supernet_memory", "supernet_memory_recompute", "crops_per_second", "dilated_depthwise",
            "dilated_depthwise_bf16", "train_pixels", "train_pixels_dncnn"}


def test_both_sides_of_the_deformable_convolution_compute_the_same():
    ours, theirs = (bench.deform_step(6, operator)() for operator in (operations.deform_conv,
                                                                      torchvision.ops.deform_conv2d))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_the_obvious_operator_is_torchvisions_and_only_for_a_while():
    ours = operations.deform_conv
    with bench.torchvisions_operator():
        assert operations.deform_conv is torchvision.ops.deform_conv2d
    assert operations.deform_conv is ours


def test_the_obvious_cell_computes_the_same():
    torch.manual_seed(0)
    cell = Supercell(2, 4)
    p2, p1, alpha = torch.rand(1, 4, 16, 16), torch.rand(1, 4, 16, 16), torch.rand(5, 6).softmax(dim=-1)
    with bench.torchvisions_operator():
        expected = to_plain(cell)(p2, p1, alpha)
    torch.testing.assert_close(cell(p2, p1, alpha), expected, rtol=1e-4, atol=1e-4)


def test_a_ratio_is_ours_over_theirs(monkeypatch):
    clock = iter([9, 9, 2, 8, 3, 6, 1, 4])  # the first turn does not count
    monkeypatch.setattr(bench, "seconds", lambda run: next(clock))
    found = bench.compare(lambda: None, lambda: None, "them", turns=3)
    assert found == {"value": 2, "unit": "s", "against": "them", "ratio": 0.25, "spread": 0.25}


PEAK = """
import torch
from irnas_lib.runtime import measured_peak

def run():
    for _ in range(3):  # one after the other, not together
        torch.ones(50 * 2 ** 18)
print(measured_peak(run))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc")
def test_a_peak_is_what_was_held_at_once():
    fresh = subprocess.run([sys.executable, "-c", PEAK], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(fresh.stdout) == pytest.approx(50, abs=5)


def test_digests_tell_every_bit():
    state = {"weight": torch.zeros(3), "history": [1, 2]}
    assert resumption.digest(state) == resumption.digest({"weight": torch.zeros(3), "history": [1, 2]})
    assert resumption.digest(state) != resumption.digest(state | {"history": [1, 3]})
    assert resumption.digest(state) != resumption.digest(state | {"weight": torch.tensor([0.0, 0.0, -0.0])})


def test_exponents_are_those_of_the_law():
    assert bench_plots.exponent([1, 2, 4, 8], [3 * v ** 1.7 for v in (1, 2, 4, 8)]) == pytest.approx(1.7)


def test_an_unknown_benchmark_is_refused(capsys):
    assert bench.main(["netwrok_train"]) == 1
    assert capsys.readouterr().err.startswith("unknown: netwrok_train;")


def test_one_that_fails_is_said_in_a_line_and_the_others_run(monkeypatch, tmp_path, capsys):
    def fail():
        raise RuntimeError("killed,\nfor memory")
    monkeypatch.setitem(bench.BENCHES, "crops_per_second", fail)
    monkeypatch.setitem(bench.BENCHES, "resumption",
                        lambda: {"value": 1, "unit": "", "against": "", "ratio": 1, "spread": 0})
    assert bench.main(["crops_per_second", "resumption", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "crops_per_second: killed, for memory\n"
    assert json.loads((tmp_path / "bench.json").read_text()).keys() == {"resumption"}


def test_what_is_shipped_is_whole():
    if not (SHIPPED / "bench.json").is_file():
        pytest.skip("no benchmark is shipped")
    shipped = json.loads((SHIPPED / "bench.json").read_text())
    assert shipped.keys() >= PROMISED
    for name, measurement in shipped.items():
        assert measurement.keys() == KEYS, name
        numbers = [measurement["value"], measurement["ratio"] or 0, measurement["spread"] or 0]
        assert all(math.isfinite(number) and number >= 0 for number in numbers), name
        assert (measurement["ratio"] is None) == (measurement["against"] is None), name


def test_the_shipped_growth_and_precision_are_whole():
    if not all((SHIPPED / f"{name}.json").is_file() for name in ("growth", "precision")):
        pytest.skip("growth and precision are not shipped")
    growth = json.loads((SHIPPED / "growth.json").read_text())
    assert {axis: [step[axis] for step in steps] for axis, steps in growth["axes"].items()} == {
        axis: list(values) for axis, values in bench.AXES.items()}
    assert json.loads((SHIPPED / "precision.json").read_text()).keys() == {"float32", "bfloat16"}


def texts_of(figure):
    return figure.findobj(lambda artist: hasattr(artist, "get_text"))


def test_pictures_of_nothing_say_so_and_of_something_show_it():
    for draw in (bench_plots.ratios, bench_plots.growth, bench_plots.precision):
        assert any("not run" in text.get_text() for text in texts_of(draw({})))
    figure = bench_plots.ratios({"x": bench.entry(1.0, "s", "them", 0.25, 0.1), "rate": bench.entry(5.0, "1/s")})
    texts = [text.get_text() for text in texts_of(figure)]
    assert "0.25" in texts and "x\nagainst them" in texts and not any("rate" in text for text in texts)


def test_memory_is_that_of_ours_over_theirs_and_eq_5_over_eq_6(monkeypatch):
    asked = []

    def peak(**options):
        asked.append(options)
        return {"megabytes": 9.0 if options.get("sharing") == "edge" else 3.0, "seconds": None}
    monkeypatch.setattr(bench, "peak", peak)
    paper = {"layers": 4, "nodes": 5, "width": 10}
    edge_by_edge = paper | {"sharing": "edge", "plain": True}
    for name, pair in (("sharing_memory", [paper, paper | {"sharing": "edge"}]),
                       ("supernet_memory", [paper, edge_by_edge]),
                       ("supernet_memory_recompute", [paper | {"recompute": True}, edge_by_edge])):
        asked.clear()
        found = bench.BENCHES[name]()
        assert (found["value"], found["unit"], found["ratio"], asked) == (3, "MB", pytest.approx(1 / 3), pair)


def test_a_peak_on_a_gpu_is_above_what_was_held_before(monkeypatch):
    for name, value in (("is_available", True), ("memory_allocated", 5 * 2 ** 20), ("reset_peak_memory_stats", None),
                        ("max_memory_allocated", 8 * 2 ** 20)):
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    assert measured_peak(lambda: None) == 3


def test_crops_are_counted_one_by_one(monkeypatch):
    monkeypatch.setattr(bench, "seconds", lambda run: 2.0)
    found = bench.crops_per_second()
    assert found["value"] == 12 * 50 / 2 and found["ratio"] is None


def test_the_share_of_the_matrix_rate_counts_a_step_as_three_passes(monkeypatch):
    times = iter([9.0] * 6 + [4.0, 0.7, 0.5, 0.6, 0.8, 0.9] * bench.TURNS)  # the first turn does not count
    monkeypatch.setattr(bench, "seconds", lambda run: next(times))
    found = bench.matrix_share(batch=2)
    step, product = 6 * 597_392 * 2 * 64 * 64 / 4.0, 2 * 2048 ** 3 / 0.5
    assert found["value"] == pytest.approx(100 * step / product) and found["spread"] == 0


def test_the_frame_is_told_apart_from_the_inside(tmp_path, monkeypatch):
    """A network that spoils a border of two pixels."""
    def spoils(network, pictures, sigma, seed, device, measures):
        clean = torch.rand(1, 1, 30, 30, generator=torch.Generator().manual_seed(0)) * 0.5
        restored = clean + 0.01
        for side in (restored[..., :2, :], restored[..., -2:, :], restored[..., :2], restored[..., -2:]):
            side += 0.09
        return {"a": [measure(restored, clean).item() for measure in measures]}
    monkeypatch.setattr(frame.validation, "scores", spoils)
    monkeypatch.setattr(frame.runs, "trained_network", lambda *_: None)
    found = frame.measure(make(dataset="embedded"), tmp_path, None)
    assert found["inside"] == pytest.approx(40) and found["frame"] < 20.1 < found["psnr"] < 40


def test_a_network_that_is_off_by_a_constant_gets_it_back(tmp_path, monkeypatch):
    monkeypatch.setattr(brightness.runs, "trained_network", lambda *_: None)
    monkeypatch.setattr(brightness.inference, "restorer", lambda *_: lambda degraded: degraded + 0.1)
    found = brightness.measure(make(dataset="embedded"), tmp_path, None)
    noisy = protocols.evaluate(lambda x: x, datasets.load("denoising", "embedded").test[::10], "strict", 50, 0)
    assert found["shifted_psnr"] == pytest.approx(noisy.psnr, abs=0.01) and found["psnr"] < noisy.psnr - 0.4
    assert found["off"] == pytest.approx(25.5, abs=0.5) and found["pictures"] == noisy.pictures


def test_the_deviation_of_an_error_leaves_out_the_shift_of_its_channels():
    clean = torch.full((1, 3, 64, 64), 0.5)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)) * torch.tensor([1, 2, 2]).view(3, 1, 1)
    degraded = clean + noise * 10 / 255 + 0.02  # an offset is no noise
    found = camera_noise.measure(clean, degraded, clean + 0.1)
    assert found["deviation"] == pytest.approx(10 * 3 ** 0.5, rel=0.02) == pytest.approx(found["estimate"], rel=0.05)
    assert found["told_deviation"] == pytest.approx(20)
    assert found["input"] == pytest.approx(-10 * math.log10(3 * (10 / 255) ** 2 + 0.02 ** 2), abs=0.1)
    shifted = degraded + torch.tensor([0.1, 0, -0.2]).view(3, 1, 1)
    assert camera_noise.at_the_means(shifted, clean) == camera_noise.at_the_means(degraded, clean) == pytest.approx(
        psnr(degraded - (degraded - clean).mean(dim=(2, 3), keepdim=True), clean).item(), abs=0.01)
    assert camera_noise.interval([1, 2, 3]) == (2, pytest.approx(4.303 / 3 ** 0.5, abs=1e-3))


def test_the_correlation_of_a_mean_of_three_is_two_thirds():
    clean = torch.full((1, 3, 200, 200), 0.5)
    white = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    wide = torch.nn.functional.avg_pool2d(white, (1, 3), 1, (0, 1))
    assert camera_noise.correlation(clean, clean + white + 0.3) == pytest.approx(0, abs=0.01)
    assert camera_noise.correlation(clean, clean + wide) == pytest.approx(2 / 3, abs=0.01)


def test_the_mean_spectrum_is_that_of_an_error_of_deviation_1():
    clean = torch.full((1, 3, 64, 64), 0.5)
    white = torch.randn(20, *clean.shape, generator=torch.Generator().manual_seed(0))
    wide = torch.nn.functional.avg_pool2d(white[:, 0], 3, 1, 1)[:, None]  # its neighbours are correlated
    flat, low = (camera_noise.mean_spectrum((clean, clean + one) for one in noise) for noise in (white, wide))
    assert flat[1:, 1:].mean() == pytest.approx(64 ** 2, rel=0.01)
    assert flat[8:24, 8:24].mean() == pytest.approx(64 ** 2, rel=0.1)
    assert low[1:5, 1:5].mean() > 20 * low[28:36, 28:36].mean()


def test_noise_made_stationary_keeps_its_spectrum_and_channels_and_not_its_place():
    rng = np.random.default_rng(0)
    field = torch.from_numpy(rng.normal(size=(1, 2, 64, 64)) + 0.1)
    field[..., :32] *= 0.1  # strong on the right alone
    field[:, 1] = field[:, 0] * 2
    found = camera_noise.stationary(field, 0, "a")
    spectra = [torch.fft.fft2(each).abs() for each in (field, found)]
    torch.testing.assert_close(*spectra)
    torch.testing.assert_close(found[:, 1], 2 * found[:, 0])
    torch.testing.assert_close(found.mean(dim=(2, 3)), field.mean(dim=(2, 3)))
    grain = torch.from_numpy(0.01 * rng.normal(size=tuple(field.shape)))
    white = camera_noise.white_over_pixels(field + torch.roll(field, 1, dims=-1) + grain, 0, "a")
    pixels = white[0].flatten(1)
    assert torch.corrcoef(pixels)[0, 1] > 0.99 and abs(camera_noise.correlation(torch.zeros_like(white), white)) < 0.05
    left, right = found[..., :32].std(), found[..., 32:].std()
    assert 0.8 < left / right < 1.25 and not torch.equal(found, camera_noise.stationary(field, 0, "b"))


def test_a_pair_is_compared_with_the_noise_alone_and_with_white_noise_and_restored_by_networks(monkeypatch, tmp_path):
    told = []
    monkeypatch.setattr(camera_noise, "bm3d_rgb", lambda degraded, sigma=None, spectrum=None: told.append(
        sigma if spectrum is None else spectrum.max()) or degraded)
    clean = datasets.load("sim1800", "embedded").test[0].clean[:64, :64]
    rng = np.random.default_rng(0)
    parameters = camera.draw_parameters(rng)._replace(shot=0.05, read=0.05)
    row = {name: f"{value:.5g}" for name, value in parameters._asdict().items()} | {"verdict": "kept", "patch": "a.png"}
    (tmp_path / "list.csv").write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    drawn = camera_noise.drawn(tmp_path / "list.csv")
    assert drawn["a"] == pytest.approx(parameters, rel=1e-4)
    seen = camera.photograph(camera.srgb_to_linear(clean / 255), parameters, rng)
    found = camera_noise.measure_picture(datasets.Picture("a", clean, seen), drawn["a"], np.ones((64, 64, 3)),
                                         {"one": lambda degraded: degraded})
    of_camera, noise, redrawn, scattered, white, weak = map(found.get, (
        "camera", "noise", "stationary", "channels", "white", "weak_white"))
    assert of_camera["without_noise"] > of_camera["input"] + 3 and noise["input"] > of_camera["input"] + 0.1
    assert of_camera["networks"] == {"one": of_camera["input"]}
    assert white["deviation"] == pytest.approx(of_camera["deviation"], rel=0.02)
    assert weak["deviation"] == pytest.approx(noise["deviation"], rel=0.02)
    assert noise["correlation"] > 0.2 and abs(weak["correlation"]) < 0.05
    assert (redrawn["deviation"], redrawn["correlation"]) == pytest.approx((noise["deviation"], noise["correlation"]),
                                                                           rel=0.03)
    assert told == pytest.approx([of_camera["deviation"], (of_camera["deviation"] / 255) ** 2, noise["deviation"],
                                  redrawn["deviation"], scattered["deviation"], white["deviation"],
                                  weak["deviation"]], rel=1e-4)
    assert scattered["deviation"] == pytest.approx(noise["deviation"], rel=0.02)
    assert abs(scattered["correlation"]) < 0.05
    assert of_camera["at_the_means"].keys() == {"told_deviation", "told_spectrum", "without_noise", "one"}
    assert of_camera["at_the_means"]["one"] == pytest.approx(20 * math.log10(255 / of_camera["deviation"]), abs=1e-3)
    records.CAMERA_NOISE.validate_python({name: [pair] for name, pair in found.items()})


def test_pairs_that_were_measured_are_kept_and_the_others_follow(monkeypatch, tmp_path):
    monkeypatch.setattr(camera_noise, "FILE", tmp_path / "camera_noise.json")
    monkeypatch.setattr(camera_noise, "drawn", lambda file: dict.fromkeys("abc"))
    monkeypatch.setattr(camera_noise, "mean_spectrum", lambda pairs: None)
    monkeypatch.setattr(camera_noise, "shipped", dict)
    monkeypatch.setattr(camera_noise, "EVERY", 1)
    pictures = SimpleNamespace(train=[], test=[datasets.Picture(name, None, None) for name in "abc"])
    monkeypatch.setattr(datasets, "load", lambda *given: pictures)
    seen = []

    def measured(picture, *given):
        if picture.name == "c" and len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(picture.name)
        pair = {"pair": picture.name, "deviation": 9, "estimate": 9, "correlation": 0.5, "input": 29,
                "told_deviation": 30}
        return {"camera": pair | {"told_spectrum": 31, "without_noise": 33, "networks": {}, "at_the_means": {}},
                "noise": pair, "stationary": pair, "channels": pair, "white": pair, "weak_white": pair}

    monkeypatch.setattr(camera_noise, "measure_picture", measured)
    camera_noise.main([])
    assert [row["pair"] for row in camera_noise.load()["noise"]] == ["a", "b"] == seen
    seen.append("stopped")
    assert camera_noise.main([]) == 0
    assert [row["pair"] for row in camera_noise.load()["camera"]] == ["a", "b", "c"] and seen[3:] == ["c"]


def test_the_networks_for_simulated_photographs_are_those_whose_weights_are_shipped():
    assert set(camera_noise.shipped()) == {"DnCNN", "IR-NAS", "IR-NAS + residual", "N3Net", "NLRN"}


def test_the_step_before_computes_the_same_with_pytorchs_convolutions(monkeypatch):
    network = bench.network_of("IR-NAS + residual").train()
    x, ours = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)), []
    plain = []
    monkeypatch.setattr(bench, "pytorchs_depthwise", lambda *given: plain.append(given) or F.conv2d(
        given[0], given[1], padding=given[2], dilation=given[2], groups=len(given[1])))
    for context in (contextlib.nullcontext(), bench.pytorchs_convolutions(), contextlib.nullcontext()):
        with context:
            network.zero_grad()
            y = network(x)
            y.square().mean().backward()
        ours.append((y.detach(), len(plain), [parameter.grad.clone() for parameter in network.parameters()
                                                     if parameter.grad is not None]))
    assert [count for _, count, _ in ours] == [0, ours[1][1], ours[1][1]] and ours[1][1] > 3
    torch.testing.assert_close(ours[0][0], ours[1][0])
    for first, second in zip(ours[0][2], ours[1][2]):
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-5)
