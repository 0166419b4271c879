"""The restore command: pictures in, pictures out, one line for whatever is wrong."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from skimage import data
from torch import nn

from irnas_lib import restore
from irnas_lib.data.datasets import Picture, noisy_file
from irnas_lib.data.pictures import write_picture
from irnas_lib.evaluation import systems
from irnas_lib.evaluation.inference import restorer
from irnas_lib.experiments import results, runs
from irnas_lib.files import ROOT
from irnas_lib.genotypes import DENOISING, Architecture
from irnas_lib.network import RestorationNetwork
from irnas_lib.training import checkpoints

ARCHITECTURE = Architecture(DENOISING, (0, 1), 2)
RANDOM = np.random.default_rng(0)


def noisy(height, width, channels):
    return RANDOM.integers(0, 256, (height, width, channels), dtype=np.uint8)


class Affine(nn.Module):
    """0.5 x + 0.1 of every channel on its own: a network whose answers are known."""

    def __init__(self, channels):
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, 1)
        self.sizes = []
        with torch.no_grad():
            self.layer.weight.copy_(0.5 * torch.eye(channels).view(channels, channels, 1, 1))
            self.layer.bias.fill_(0.1)

    def forward(self, x):
        self.sizes.append(tuple(x.shape))
        return self.layer(x)

    def __deepcopy__(self, _):
        """A restorer works on a copy; what that one sees is to be seen here."""
        return self


def through(network, array, tile=0):
    return restore.restore_picture(restorer(network, "cpu"), restore.channels_of(network), array, tile)


# ---- restore_picture ----

@pytest.mark.parametrize("tile", (0, 32, 64))
@pytest.mark.parametrize("size", ((70, 81), (20, 100), (1, 1), (32, 5)))
@pytest.mark.parametrize("network_channels", (1, 3))
@pytest.mark.parametrize("channels", (1, 3))
def test_every_picture_goes_through_every_network(tile, size, network_channels, channels):
    array = noisy(*size, channels)
    network = Affine(network_channels)
    restored = through(network, array, tile)
    assert restored.dtype == np.uint8 and restored.shape == array.shape
    assert np.abs(restored - (array * 0.5 + 25.5)).max() <= 0.51
    assert network.sizes, "the network was seen at work"
    assert all(shape[:2] == (1, network_channels) for shape in network.sizes), "one at a time, for memory"
    expected = (tile, tile) if 0 < tile < max(size) else size
    assert all(shape[2:] == expected for shape in network.sizes)


def test_a_grey_network_sees_the_channels_one_by_one():
    torch.manual_seed(0)
    network = RestorationNetwork(*ARCHITECTURE, 1)
    array = noisy(17, 23, 3)
    whole = through(network, array)
    for c in range(3):
        assert np.array_equal(whole[..., c:c + 1], through(network, array[..., c:c + 1]))


def test_an_rgb_networks_answer_to_a_grey_picture_is_averaged():
    network = Affine(3)
    with torch.no_grad():
        network.layer.bias.copy_(torch.tensor([0.0, 0.1, 0.5]))
    restored = through(network, np.full((5, 5, 1), 100, np.uint8))
    assert np.unique(restored).tolist() == [round(50 + 255 * 0.2)]


def test_tiles_agree_with_the_whole_but_at_their_borders():
    blur = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    nn.init.constant_(blur.weight, 1 / 9)
    array = noisy(100, 130, 1)
    whole, tiled = (through(blur, array, tile).astype(int)[..., 0] for tile in (0, 64))
    inside, rows = np.ones(130, bool), np.ones(100, bool)
    inside[[0, 63, 48, 111, 66, 129]] = False  # where the tiles at 0, 48, 66 begin and end
    rows[[0, 63, 36, 99]] = False
    assert np.array_equal(whole[np.ix_(rows, inside)], tiled[np.ix_(rows, inside)])
    assert not np.array_equal(whole, tiled)


def test_a_tile_larger_than_the_picture_is_the_whole_picture():
    seen = []

    def run(x):
        seen.append(tuple(x.shape))
        return x
    array = noisy(40, 50, 1)
    assert np.array_equal(restore.restore_picture(run, 1, array, tile=100_000), array)
    assert seen == [(1, 1, 40, 50)]


# ---- checkpoints ----

def add(folder, network, **changes):
    """A trained result with its weights in `folder`, as a run leaves them."""
    result = results.Result(**{
        "task": "denoising", "dataset": "BSD500", "system": "IR-NAS", "sigma": 50, "seed": 0, "recipe": "matched",
        "loss": "mse + log-ssim", "loss_lambda": 0.5, "iterations": 10, "batch": 2, "profile": "laptop",
        "genotype": [[list(edge) for edge in node] for node in DENOISING], "path": [0, 1], "width": 2,
        "metrics": {"strict": {"psnr": 25.0, "ssim": 0.7, "pictures": 200}}, "parameters": 1, "macs_per_pixel": 1,
        "seconds": 1.0, "device": "CPU", "versions": {}, "commit": "", "data_sha256": "", "weights": None,
        "status": "ok"} | changes)
    file = f"weights/{result.stem}.safetensors"
    weights = {"file": file, "sha256": checkpoints.save_weights(folder / file, network)}
    return results.save(replace(result, weights=weights), folder / "results")


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Shipped checkpoints: a small network at sigma 50, a better DnCNN, one measured on few pictures, de-raining."""
    folder = tmp_path / "checkpoints"
    monkeypatch.setattr(runs, "SHIPPED", folder)
    torch.manual_seed(0)
    add(folder, RestorationNetwork(*ARCHITECTURE, 1))
    none = {"genotype": None, "path": None, "width": None}
    add(folder, systems.build("DnCNN", 1), system="DnCNN", seed=1, **none,
        metrics={"strict": {"psnr": 26.0, "ssim": 0.7, "pictures": 200}})
    add(folder, systems.build("DnCNN", 1), system="DnCNN", **none,
        metrics={"strict": {"psnr": 28.0, "ssim": 0.7, "pictures": 10}})
    add(folder, RestorationNetwork(*ARCHITECTURE, 3), task="deraining", dataset="Rain800", sigma=None)
    return folder


NAMES = {"small": "denoising-ir_nas-sigma50-seed0-matched-10-laptop",
         "best": "denoising-dncnn-sigma50-seed1-matched-10-laptop",
         "rain": "deraining-ir_nas-seed0-matched-10-laptop"}


def test_the_default_is_the_highest_psnr_over_the_most_pictures(shipped):
    assert results.stem(restore.choose(None, "denoising", 50, shipped)[0]) == NAMES["best"]
    assert results.stem(restore.choose(None, "deraining", 50, shipped)[0]) == NAMES["rain"]


@pytest.mark.parametrize("form", ("{name}", "{folder}/results/{name}.json", "{folder}/weights/{name}.safetensors"))
@pytest.mark.parametrize("which", NAMES)
def test_a_checkpoint_goes_by_its_name_its_result_or_its_weights(shipped, tmp_path, form, which):
    elsewhere = tmp_path / "other"
    asked = form.format(name=NAMES[which], folder=shipped)
    result, folder = restore.choose(asked, "denoising", 70, shipped if form == "{name}" else elsewhere)
    assert (result.stem, folder) == (NAMES[which], shipped)
    network = runs.trained_network(result, folder)
    assert isinstance(network, RestorationNetwork) == (which != "best")


def test_list_names_task_system_sigma_iterations_and_psnr(shipped, capsys):
    assert restore.main(["--list"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["name", "task", "system", "sigma", "iterations", "PSNR"]
    assert len(lines) == 5
    assert [NAMES["best"], "denoising", "DnCNN", "50", "10", "26.00", "dB"] in lines
    assert [NAMES["rain"], "deraining", "IR-NAS", "-", "10", "25.00", "dB"] in lines


# ---- the command ----

def command(*arguments):
    return restore.main([str(argument) for argument in (*arguments, "--device", "cpu")])


def said(capsys):
    """The lines on stderr but for progress bars and the line that names the checkpoint."""
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    told = ("%|", ", on ", "noise of about")
    return [line.strip() for line in lines if line.strip() and not any(part in line for part in told)]


@pytest.mark.parametrize("mode", ("L", "RGB"))
def test_a_picture_becomes_a_picture(shipped, tmp_path, mode):
    source, target = tmp_path / "in.png", tmp_path / "deep" / "out.png"
    array = noisy(30, 41, len(mode))
    write_picture(source, array)
    before = source.read_bytes()
    assert command(source, target, "--checkpoint", NAMES["small"]) == 0
    result, folder = restore.choose(NAMES["small"], "denoising", 50, shipped)
    with Image.open(target) as image:
        assert image.mode == mode
        found = np.asarray(image).reshape(array.shape)
    assert np.array_equal(found, through(runs.trained_network(result, folder), array))
    assert source.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == ["out.png"]


def test_a_colour_profile_goes_with_the_picture(shipped, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    Image.fromarray(noisy(12, 12, 3)).save(tmp_path / "in.png", icc_profile=profile)
    for name in ("out.png", "out.jpg", "out.webp", "out.tif", "out.bmp"):
        assert command(tmp_path / "in.png", tmp_path / name) == 0
        with Image.open(tmp_path / name) as image:
            assert image.info.get("icc_profile") == (profile if name != "out.bmp" else None)


def test_a_picture_into_a_folder_keeps_its_name(shipped, tmp_path):
    write_picture(tmp_path / "in.bmp", noisy(12, 12, 1))
    (tmp_path / "there").mkdir()
    for target in ("there", "new"):
        assert command(tmp_path / "in.bmp", tmp_path / target, "--task", "deraining", "--tile", 32) == 0
        assert (tmp_path / target / "in.png").is_file()


def test_a_folder_goes_on_after_a_bad_picture_and_says_so(shipped, tmp_path, capsys):
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.png", "b.jpg", "same.png", "same.jpg"):
        write_picture(source / name, noisy(16, 17, 3))
    (source / "bad.png").write_bytes((source / "a.png").read_bytes()[:200])
    (source / "notes.txt").write_text("hello")
    (source / ".hidden").write_text("hello")
    (source / "folder.png").mkdir()
    assert command(source, target) == 1
    assert sorted(path.name for path in target.iterdir()) == ["a.png", "b.png", "same.jpg.png", "same.png.png"]
    lines = said(capsys)
    assert len(lines) == 3
    assert lines[0] == "skipped, no pictures: notes.txt"
    assert lines[1].startswith(f"{source / 'bad.png'}: cannot be read")
    assert lines[2] == "1 of 5 pictures failed"


def test_a_damaged_checkpoint_is_refused(shipped, tmp_path, capsys):
    write_picture(tmp_path / "in.png", noisy(12, 12, 1))
    file = shipped / "weights" / f"{NAMES['best']}.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert command(tmp_path / "in.png", tmp_path / "out.png") == 1
    assert "damaged or replaced" in said(capsys)[0]
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(("arguments", "message"), (
    (("in.png", "in.png"), "in.png: is the input, which is never overwritten"),
    (("in.png", "link.png"), "link.png: is the input, which is never overwritten"),
    ((".", "."), "is the folder of the input, which is never overwritten"),
    ((".", "in.png"), "in.png: is a file; a folder of pictures needs a folder"),
    (("none.png", "out.png"), "none.png: no such file or folder"),
    (("empty", "out"), "empty: holds no pictures"),
    (("in.png", "out.xyz"), "out.xyz: unknown suffix"),
    (("in.png", "a.xyz/out"), "Not a directory"),
    (("in.png", "plain"), "plain: is no folder, and without a suffix no picture"),
    (("text.png", "out.png"), "text.png: not a picture"),
    (("in.png", "in.png/out.png"), "Not a directory|File exists"),
    (("in.png",), "IN and OUT are needed"),
    ((), "IN and OUT are needed"),
    (("in.png", "out.png", "--sigma", "12"), "no checkpoint for denoising at sigma 12 "),
    (("in.png", "out.png", "--task", "sim1800"), "no checkpoint for sim1800 "),
    (("in.png", "out.png", "--checkpoint", "best"), "unknown checkpoint 'best' .--list shows"),
    (("in.png", "out.png", "--checkpoint", "no.json"), "no.json: no such file"),
    (("in.png", "out.png", "--checkpoint", "alone.safetensors"), "no result results/alone.json beside it"),
    (("in.png", "out.png", "--tile", "5"), "--tile 5: must be at least 32 pixels"),
    (("in.png", "out.png", "--tile", "-64"), "--tile -64: must be at least 32 pixels"),
))
def test_what_is_wrong_is_said_in_one_line(shipped, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_picture("in.png", noisy(12, 12, 1))
    (tmp_path / "link.png").hardlink_to("in.png")
    (tmp_path / "empty").mkdir()
    for name in ("text.png", "alone.safetensors", "plain", "a.xyz"):
        (tmp_path / name).write_text("text")
    before = (tmp_path / "in.png").read_bytes()
    assert command(*arguments) == 1
    (line,) = said(capsys)
    assert re.search(message, line)
    assert (tmp_path / "in.png").read_bytes() == before
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("error", [RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 byte"),
                                   MemoryError("Unable to allocate 112. GiB")])
def test_too_little_memory_is_said_with_advice(shipped, tmp_path, capsys, monkeypatch, error):
    write_picture(tmp_path / "in.png", noisy(12, 12, 1))

    def run_out(*_):
        raise error
    monkeypatch.setattr(restore, "restore_picture", run_out)
    assert command(tmp_path / "in.png", tmp_path / "out.png") == 1
    assert "try --tile" in said(capsys)[0]


def test_as_a_command():
    asked = subprocess.run([sys.executable, "-m", "irnas_lib.restore", "no/where.png", "out.png"], cwd=ROOT,
                           capture_output=True, text=True)
    assert (asked.returncode, asked.stderr) == (1, "no/where.png: no such file or folder\n")


def test_help_tells_what_happens_to_channels(capsys):
    with pytest.raises(SystemExit) as caught:
        restore.main(["--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in ("each channel of an RGB picture on its own", "--checkpoint", "--tile", "--device", "--list"):
        assert words in text


# ---- what fits a picture ----

def photograph(sigma):
    clean = Picture("astronaut", data.astronaut()[100:228, 100:228])
    return noisy_file(clean, sigma).degraded if sigma else clean.clean


@pytest.mark.parametrize("sigma", (10, 25, 50))
def test_the_noise_of_a_photograph_is_estimated(sigma):
    assert restore.estimated_sigma(photograph(sigma)) == pytest.approx(sigma, rel=0.3)
    assert restore.estimated_sigma(np.full((1, 1, 3), 7, np.uint8)) < 1e-6


def test_the_network_that_fits_is_of_the_next_sigma_and_next_to_no_noise_is_left(shipped):
    for sigma in (30, 70):
        add(shipped, RestorationNetwork(*ARCHITECTURE, 1), sigma=sigma)
    chosen = [restore.fitting(estimate, 3, restore.known(shipped))
              for estimate in (0, 9.9, 10.1, 32, 34, 52, 54, 200)]
    assert [result and result.sigma for result in chosen] == [None, None, 30, 30, 50, 50, 70, 70]


def test_a_network_that_is_blind_to_sigma_goes_first_where_it_has_the_channels(shipped):
    add(shipped, RestorationNetwork(*ARCHITECTURE, 3), task="file_rgb", dataset="BSD500-RGB-files", sigma=None)
    assert restore.fitting(2, 3, restore.known(shipped)).task == "file_rgb"
    assert restore.fitting(45, 1, restore.known(shipped)).task == "denoising"


def test_a_picture_without_noise_comes_back_as_it_is(shipped, tmp_path, capsys):
    write_picture(tmp_path / "in.png", photograph(0))
    assert command(tmp_path / "in.png", tmp_path / "out.png") == 0
    assert np.array_equal(restore.read(tmp_path / "out.png")[0], photograph(0))
    assert "left as it is" in said(capsys)[0]


def test_a_network_for_far_more_noise_than_there_is_is_warned_of(shipped, tmp_path, capsys):
    write_picture(tmp_path / "in.png", photograph(10))
    assert command(tmp_path / "in.png", tmp_path / "out.png", "--sigma", 50) == 0
    assert "the network expects 50: details may be lost" in said(capsys)[0]
    write_picture(tmp_path / "strong.png", photograph(50))
    assert command(tmp_path / "strong.png", tmp_path / "out.png", "--sigma", 50) == 0
    assert not said(capsys)
