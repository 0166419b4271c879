"""The table of what `restore` makes of files: its scores, what is measured again, what is averaged."""

from types import SimpleNamespace

import numpy as np
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from irnas_lib.benchmarks import own_pictures
from irnas_lib.data import datasets
from irnas_lib.data.datasets import FILE_SIGMAS, Picture, noisy_file
from irnas_lib.experiments import runs
from irnas_lib.figures.before_after import side_by_side
from irnas_lib.restore import denoiser, noise, pictures

CLEAN = Picture("small", np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "scores.csv"


def test_the_scores_are_scikit_images_and_stay_where_they_are(file):
    for _ in range(2):
        own_pictures.measure([CLEAN], 0, ["input"], file)
    rows = own_pictures.read(file)
    assert [row["sigma"] for row in rows] == list(map(str, FILE_SIGMAS))
    for row in rows[1:]:
        expected = peak_signal_noise_ratio(CLEAN.clean, noisy_file(CLEAN, float(row["sigma"])).degraded)
        assert float(row["psnr"]) == pytest.approx(expected, abs=1e-3)
    assert float(rows[0]["psnr"]) == np.inf


def test_restore_is_the_command_and_is_measured_again_for_another_network(file, tmp_path, monkeypatch):
    """The network here answers white to everything."""
    monkeypatch.setattr(runs, "SHIPPED", tmp_path)
    chosen = SimpleNamespace(task="file_rgb", sigma=None, stem="first")
    monkeypatch.setattr(denoiser, "fitting", lambda sigma, channels, candidates: chosen)
    monkeypatch.setattr(runs, "trained_network", lambda result, folder: result)
    monkeypatch.setattr(denoiser, "restorer", lambda network, device: lambda x: x * 0 + 1)
    monkeypatch.setattr(denoiser, "channels_of", lambda network: 3)
    own_pictures.measure([CLEAN], 0, ["restore"], file)
    own_pictures.measure([CLEAN], 0, ["restore"], file)
    chosen.stem = "second"
    own_pictures.measure([CLEAN], 0, ["restore"], file)
    rows = own_pictures.read(file)
    assert [row["network"] for row in rows] == ["first"] * 7 + ["second"] * 7
    for row in rows:
        noisy = noisy_file(CLEAN, float(row["sigma"])).degraded
        answer = noise.limited(noisy, np.full_like(noisy, 255), noise.estimated_sigma(noisy))
        assert float(row["psnr"]) == pytest.approx(peak_signal_noise_ratio(CLEAN.clean, answer), abs=1e-3)


def test_the_example_of_readme_is_the_file_before_and_after(tmp_path, monkeypatch):
    monkeypatch.setattr(own_pictures, "restored", lambda method, array, sigma: 255 - array)
    assert own_pictures.main(["--example", str(tmp_path / "example.png")]) == 0
    noisy = noisy_file(Picture("chelsea", data.chelsea()), 25).degraded
    assert np.array_equal(pictures.read(tmp_path / "example.png").array, side_by_side(noisy, 255 - noisy))


def test_nothing_new_begins_when_the_time_is_over(file):
    own_pictures.measure([CLEAN], 0, ["input"], file, minutes=0)
    assert own_pictures.read(file) == []


def test_the_table_is_of_the_pictures_that_all_methods_have_and_of_the_last_restore():
    def row(picture, method, psnr, side=0, channels=3):
        return {"picture": picture, "side": str(side), "channels": str(channels), "sigma": "25", "method": method,
                "network": "", "psnr": str(psnr), "seconds": "1"}
    rows = [row(picture, method, 20 + i + j) for i, picture in enumerate("ab")
            for j, method in enumerate(own_pictures.METHODS)]
    rows += [row("c", "input", 90), row("a", "input", 70, side=256), row("a", "input", 70, channels=1)]
    rows += [row("a", "restore", 40), row("b", "restore", "inf")]
    rows += [row(picture, method, psnr, channels=1) for method in own_pictures.METHODS
             for picture, psnr in zip("abc", (30, 31, 32) if method == "restore" else (28.9, 29.9, 31.2))]
    (line,) = [line for line in own_pictures.table(rows, 0).splitlines() if line.startswith("| 25")]
    assert line == "| 25 | 2 | 20.50 | 40.00, 1 unchanged | 22.50 | 23.50 | - | +20.0 dB over the input |"
    clean = [row("a", method, psnr) | {"sigma": "0"}
             for method, psnr in zip(own_pictures.METHODS, ("inf", 51, 60, 60))]
    assert "| 0 | 1 | 1 unchanged | 51.00 | 60.00 | 60.00 | - | 51.0 dB |" in own_pictures.table(clean, 0)
    assert "| 50 | 0 | not run | not run | not run | not run | - | - |" in own_pictures.table(rows, 0)
    half = 4.303 * np.std([1.1, 1.1, 0.8], ddof=1) / 3 ** 0.5  # Student's t of two degrees of freedom, from a book
    grey = own_pictures.table(rows, 0, grey=True)
    assert f"| 31.00 | 30.00 | 30.00 | +1.00 ± {half:.2f} | +0.8 dB over the input |" in grey


@pytest.mark.parametrize(("grey", "source"), ((False, ("file_rgb", "BSD500-RGB-files")),
                                              (True, ("file_grey", "BSD500-grey-files"))))
def test_the_pictures_are_of_both_sources_in_turn_and_clean(grey, source, monkeypatch):
    channels = 1 if grey else 3

    def load(task, dataset, folder):
        assert (task, dataset) == source
        clean = CLEAN.clean[..., :channels]
        return SimpleNamespace(test=[Picture(f"{i}", clean, clean // 2) for i in range(200)])
    monkeypatch.setattr(datasets, "load", load)
    chosen = own_pictures.pictures(24, 32, grey=grey)
    assert len(chosen) == len({picture.name for picture in chosen}) == 24
    assert [picture.name for picture in chosen[:4]] == ["astronaut", "0", "chelsea", "10"]
    assert all(picture.degraded is None and picture.clean.shape == (32, 32, channels) for picture in chosen)
    assert len(own_pictures.pictures(3, 32, grey=grey)) == 3


def test_what_a_kill_has_cut_short_is_measured_again_and_damage_is_named(file):
    own_pictures.measure([CLEAN], 0, ["input"], file)
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    own_pictures.measure([CLEAN], 0, ["input"], file)
    assert [row["sigma"] for row in own_pictures.read(file)] == list(map(str, FILE_SIGMAS))
    for damage in (b"x,y\n", b"small,0,3,5,input,,high,1\n", b"\xff\n"):
        file.write_bytes(whole + damage)
        with pytest.raises(ValueError, match=r"scores.csv(, line 9)?: "):
            own_pictures.read(file)
