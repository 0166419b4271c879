"""The restore command: pictures in, pictures out, one line for whatever is wrong."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from skimage import data
from skimage.metrics import peak_signal_noise_ratio
from torch import nn

from irnas_lib import restore
from irnas_lib.data.datasets import Picture, noisy_file
from irnas_lib.data.pictures import write_picture
from irnas_lib.evaluation import systems
from irnas_lib.evaluation.inference import MARGIN, restorer
from irnas_lib.experiments import results, runs
from irnas_lib.figures.before_after import side_by_side
from irnas_lib.files import ROOT
from irnas_lib.genotypes import DENOISING, Architecture
from irnas_lib.network import RestorationNetwork
from irnas_lib.restore import denoiser, files, networks, noise, pictures
from irnas_lib.restore.denoiser import Denoiser
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
    return pictures.restore_picture(restorer(network, "cpu"), pictures.channels_of(network), array, tile)


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
    assert max(max(shape[2:]) for shape in network.sizes) <= max(16, *([tile + 2 * MARGIN] if tile else size))
    assert min(min(shape[2:]) for shape in network.sizes) >= 16, "no network is given less"


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


@pytest.mark.parametrize("down, right", ((48, 0), (-48, 48), (0, -48), (49, 0), (0, -49)))
def test_tiles_see_as_far_as_is_said(down, right):
    """A picture moved by as many pixels, black where nothing comes from."""
    def moved(x):
        height, width = x.shape[-2:]
        wide = nn.functional.pad(x, (50, 50, 50, 50))
        return wide[..., 50 - down:50 - down + height, 50 - right:50 - right + width]
    array = noisy(150, 230, 3)
    same = np.array_equal(pictures.restore_picture(moved, 3, array), pictures.restore_picture(moved, 3, array, 64))
    assert same == (max(abs(down), abs(right)) <= MARGIN)


def test_a_trained_network_leaves_no_mesh_of_tiles():
    result = next(result for result in networks.known(runs.SHIPPED) if result.system == "DnCNN" and result.sigma == 50)
    array = noisy_file(Picture("", data.camera()[:150, :170, None]), 50).degraded
    network = runs.trained_network(result, runs.SHIPPED)
    whole, tiled = (through(network, array, tile).astype(int) for tile in (0, 64))
    assert np.abs(whole - tiled).max() <= 1 and (whole != tiled).mean() < 1e-3, "but for rounding"


def test_a_large_picture_goes_in_tiles_of_itself_and_says_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(pictures, "TILE", 40)
    network, array = Affine(1), noisy(136, 137, 1)
    run = restorer(network, "cpu")
    assert np.array_equal(pictures.restore_picture(run, 1, array[:, :136]), through(Affine(1), array[:, :136], 136))
    assert network.sizes == [(1, 1, 136, 136)], "no larger than what a tile sees: whole"
    restored = pictures.restore_picture(run, 1, array, title="large.png")
    assert np.abs(restored - (array * 0.5 + 25.5)).max() <= 0.51
    assert len(network.sizes) == 1 + 16 and max(max(size[2:]) for size in network.sizes) == 136
    shown = capsys.readouterr().err
    assert "large.png" in shown and "/16 [" in shown and "tile/s" in shown


def test_a_tile_larger_than_the_picture_is_the_whole_picture():
    seen = []

    def run(x):
        seen.append(tuple(x.shape))
        return x
    array = noisy(40, 50, 1)
    assert np.array_equal(pictures.restore_picture(run, 1, array, tile=100_000), array)
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
    assert networks.choose(None, "denoising", 50, shipped)[0].stem == NAMES["best"]
    assert networks.choose(None, "deraining", 50, shipped)[0].stem == NAMES["rain"]


@pytest.mark.parametrize("form", ("{name}", "{folder}/results/{name}.json", "{folder}/weights/{name}.safetensors"))
@pytest.mark.parametrize("which", NAMES)
def test_a_checkpoint_goes_by_its_name_its_result_or_its_weights(shipped, tmp_path, form, which):
    elsewhere = tmp_path / "other"
    asked = form.format(name=NAMES[which], folder=shipped)
    result, folder = networks.choose(asked, "denoising", 70, shipped if form == "{name}" else elsewhere)
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


def errors_of(capsys):
    """The lines on stderr but for progress bars and what is told of the noise and the network: random pictures seem
    to be noise of sigma 88."""
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    told = ("%|", ", on ", "noise of about", "noise may be left")
    return [line.strip() for line in lines if line.strip() and not any(part in line for part in told)]


@pytest.mark.parametrize("mode", ("L", "RGB"))
def test_a_picture_becomes_a_picture(shipped, tmp_path, mode):
    source, target = tmp_path / "in.png", tmp_path / "deep" / "out.png"
    array = noisy(30, 41, len(mode))
    write_picture(source, array)
    before = source.read_bytes()
    assert command(source, target, "--checkpoint", NAMES["small"]) == 0
    result, folder = networks.choose(NAMES["small"], "denoising", 50, shipped)
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


@pytest.mark.parametrize("mode", ("LA", "RGBA"))
@pytest.mark.parametrize("suffix", ("png", "tif", "webp"))
def test_an_alpha_channel_stays_and_the_colours_are_restored(shipped, tmp_path, mode, suffix):
    array = noisy(20, 31, len(mode))
    array[:9, ..., -1] = 0  # colours that nobody sees are kept too
    Image.fromarray(array).save(tmp_path / "in.png")
    assert command(tmp_path / "in.png", tmp_path / f"out.{suffix}", "--checkpoint", NAMES["best"]) == 0
    network = runs.trained_network(*networks.choose(NAMES["best"], "denoising", 50, shipped))
    with Image.open(tmp_path / f"out.{suffix}") as image:
        assert image.mode == mode or (mode, suffix) == ("LA", "webp")
        found = np.asarray(image.convert(mode))
    assert np.array_equal(found[..., -1], array[..., -1])
    expected = through(network, array[..., :-1])
    assert np.array_equal(found[..., :-1], expected) and np.ptp(expected) > 100


def test_an_opaque_alpha_channel_is_left_out_of_a_jpeg(shipped, tmp_path):
    array = noisy(20, 31, 4)
    array[..., 3] = 255
    Image.fromarray(array).save(tmp_path / "in.png")
    assert command(tmp_path / "in.png", tmp_path / "out.jpg") == 0
    assert pictures.read(tmp_path / "out.jpg").array.shape == (20, 31, 3)


def test_transparency_without_an_alpha_channel_becomes_one(shipped, tmp_path):
    picture = Image.fromarray(noisy(20, 30, 3)).quantize(16)
    picture.save(tmp_path / "in.png", transparency=3)
    assert command(tmp_path / "in.png", tmp_path / "out.png") == 0
    alpha = pictures.read(tmp_path / "out.png").alpha[..., 0]
    assert np.array_equal(alpha == 0, np.asarray(picture) == 3) and set(np.unique(alpha)) == {0, 255}


def test_a_picture_that_lies_on_its_side_is_turned(shipped, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter clockwise to view
    picture = photograph(0)[:40]
    Image.fromarray(picture).save(tmp_path / "in.png", exif=exif)
    assert command(tmp_path / "in.png", tmp_path / "out.png") == 0
    with Image.open(tmp_path / "out.png") as image:
        assert not image.getexif().get(0x0112)
        assert np.array_equal(np.asarray(image), np.rot90(picture, -1)), "and, without noise, left as it is"


def test_folders_below_are_taken_when_asked_for_but_not_the_output(shipped, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / ".cache").mkdir()
    for name in ("one.png", "a/one.png", "a/b/two.jpg", ".cache/no.png"):
        write_picture(tmp_path / name, noisy(16, 17, 1))
    out = tmp_path / "out"
    assert command(tmp_path, out) == 0
    assert [path.name for path in out.rglob("*.*")] == ["one.png"]
    for _ in range(2):  # what the first has written is no input of the second
        assert command(tmp_path, out, "--recursive") == 0
        assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png")) == [
            "a/b/two.png", "a/one.png", "one.png"]


def test_a_comparison_shows_both_whole_and_close(shipped, tmp_path):
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    write_picture(source, photograph(50))
    assert command(source, target, "--compare", "--checkpoint", NAMES["small"]) == 0
    before, after = (pictures.read(path).array for path in (source, target))
    shown = pictures.read(tmp_path / "out-compared.png").array
    assert np.array_equal(shown, side_by_side(before, after)) and not np.array_equal(before, after)


def test_names_never_meet():
    names = ("a.jpg", "a.png", "a.png.jpg", "a.png.jpg.tif", "b.png")
    assert files.output_names([Path(name) for name in names]) == [
        "a.jpg", "a.png", "a.png.jpg", "a.png.jpg.tif", "b"]
    assert files.output_names([Path("A.png"), Path("a.png")]) == ["A.png", "a.png"]


def test_a_picture_into_a_folder_keeps_its_name(shipped, tmp_path):
    write_picture(tmp_path / "in.bmp", noisy(12, 12, 1))
    (tmp_path / "there").mkdir()
    for target in ("there", "new"):
        assert command(tmp_path / "in.bmp", tmp_path / target, "--task", "deraining", "--tile", 32) == 0
        assert (tmp_path / target / "in.png").is_file()


def test_a_folder_goes_on_after_a_bad_picture_and_says_so(shipped, tmp_path, capsys):
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.png", "b.jpg", "same.png", "same.jpg", "same.png.jpg", "SAME.bmp"):
        write_picture(source / name, noisy(16, 17, 3))
    (source / "bad.png").write_bytes((source / "a.png").read_bytes()[:200])
    (source / "notes.txt").write_text("hello")
    (source / ".hidden").write_text("hello")
    (source / "folder.png").mkdir()
    assert command(source, target) == 1
    assert sorted(path.name for path in target.iterdir()) == [
        "SAME.bmp.png", "a.png", "b.png", "same.jpg.png", "same.png.jpg.png", "same.png.png"]
    lines = errors_of(capsys)
    assert len(lines) == 3
    assert lines[0] == "skipped, no pictures: notes.txt"
    assert lines[1].startswith(f"{source / 'bad.png'}: cannot be read")
    assert lines[2] == "1 of 7 pictures failed"


def test_a_damaged_checkpoint_is_refused(shipped, tmp_path, capsys):
    write_picture(tmp_path / "in.png", noisy(12, 12, 1))
    file = shipped / "weights" / f"{NAMES['best']}.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert command(tmp_path / "in.png", tmp_path / "out.png") == 1
    assert "damaged or replaced" in errors_of(capsys)[0]
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(("arguments", "message"), (
    (("in.png", "in.png"), "in.png: is an input, which is never overwritten"),
    (("in.png", "link.png"), "link.png: is an input, which is never overwritten"),
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
    (("", "out.png"), "IN and OUT are needed"),
    (("in.png", ""), "IN and OUT are needed"),
    (("deep.png", "out.png"), "deep.png: has more than 8 bits a channel"),
    (("seen.png", "out.jpg"), "out.jpg: this format holds no transparency"),
    (("two", "new", "--compare"), "new/a-compared.png: would be both a restored picture and a comparison"),
    (("two", ".", "--recursive"), "two/a.png: is an input, which is never overwritten"),
    (("two/a-compared.png", "two/a.tif", "--compare"), "two/a-compared.png: is an input"),
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
    (tmp_path / "two" / "two").mkdir(parents=True)
    for name in ("two/a.png", "two/a-compared.png", "two/two/a.png"):
        write_picture(name, noisy(12, 12, 1))
    Image.fromarray(noisy(12, 12, 4)).save("seen.png")
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save("deep.png")
    for name in ("text.png", "alone.safetensors", "plain", "a.xyz"):
        (tmp_path / name).write_text("text")
    before = (tmp_path / "in.png").read_bytes()
    assert command(*arguments) == 1
    (line,) = errors_of(capsys)
    assert re.search(message, line)
    assert (tmp_path / "in.png").read_bytes() == before
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("error", [RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 byte"),
                                   MemoryError("Unable to allocate 112. GiB")])
def test_too_little_memory_is_said_with_advice(shipped, tmp_path, capsys, monkeypatch, error):
    write_picture(tmp_path / "in.png", noisy(12, 12, 1))

    def run_out(*_):
        raise error
    monkeypatch.setattr(denoiser, "restore_picture", run_out)
    assert command(tmp_path / "in.png", tmp_path / "out.png") == 1
    assert "try --tile" in errors_of(capsys)[0]


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


def test_the_network_that_fits_is_of_the_next_sigma_and_next_to_no_noise_is_left(shipped):
    for sigma in (30, 70):
        add(shipped, RestorationNetwork(*ARCHITECTURE, 1), sigma=sigma)
    chosen = [networks.fitting(estimate, 3, networks.known(shipped)) for estimate in (0.4, 0.6, 32, 34, 52, 54, 200)]
    assert [result and result.sigma for result in chosen] == [None, 30, 30, 50, 50, 70, 70]


def test_a_network_that_is_blind_to_sigma_goes_first_where_it_has_the_channels(shipped):
    add(shipped, RestorationNetwork(*ARCHITECTURE, 3), task="file_rgb", dataset="BSD500-RGB-files", sigma=None)
    assert networks.fitting(2, 3, networks.known(shipped)).task == "file_rgb"
    assert networks.fitting(45, 1, networks.known(shipped)).task == "denoising"


def test_a_blind_network_for_grey_takes_the_channels_of_a_colour_picture_one_by_one(shipped):
    add(shipped, RestorationNetwork(*ARCHITECTURE, 1), task="file_grey", dataset="BSD500-grey-files", sigma=None)
    assert {networks.fitting(2, channels, networks.known(shipped)).task for channels in (1, 3)} == {"file_grey"}
    add(shipped, RestorationNetwork(*ARCHITECTURE, 3), task="file_rgb", dataset="BSD500-RGB-files", sigma=None,
        metrics={"strict": {"psnr": 20.0, "ssim": 0.5, "pictures": 10}})
    assert [networks.fitting(2, channels, networks.known(shipped)).task for channels in (1, 3)] == [
        "file_grey", "file_rgb"]


def test_a_blind_network_is_taken_by_the_command_as_soon_as_it_is_shipped(shipped, tmp_path, capsys):
    network = RestorationNetwork(*ARCHITECTURE, 3)
    add(shipped, network, task="file_rgb", dataset="BSD500-RGB-files", sigma=None)
    for sigma in (5, 10):
        taken = photograph(sigma)
        write_picture(tmp_path / "in.png", taken)
        assert command(tmp_path / "in.png", tmp_path / "out.png") == 0
        answer = noise.limited(taken, through(network, taken), noise.estimated_sigma(taken))
        assert np.array_equal(pictures.read(tmp_path / "out.png").array, answer)
    assert "file_rgb-ir_nas-seed0-matched-10-laptop, on" in capsys.readouterr().err


def test_a_picture_without_noise_comes_back_as_it_is(shipped, tmp_path, capsys):
    drawn = np.full((64, 64, 3), 90, np.uint8)
    drawn[20:40, 10:50] = 160
    write_picture(tmp_path / "in.png", drawn)
    assert command(tmp_path / "in.png", tmp_path / "out.png") == 0
    assert np.array_equal(pictures.read(tmp_path / "out.png").array, drawn)
    assert "left as it is" in errors_of(capsys)[0]


def test_a_clean_photograph_is_hardly_changed_even_by_a_network_that_ruins_it(shipped, tmp_path, monkeypatch):
    clean = photograph(0)
    write_picture(tmp_path / "in.png", clean)
    for module in (denoiser, files):
        monkeypatch.setattr(module, "restore_picture", lambda run, wanted, array, *_: 255 - array)
    assert command(tmp_path / "in.png", tmp_path / "out.png") == 0
    assert peak_signal_noise_ratio(clean, pictures.read(tmp_path / "out.png").array) > 45
    assert command(tmp_path / "in.png", tmp_path / "out.png", "--sigma", 50) == 0
    assert np.array_equal(pictures.read(tmp_path / "out.png").array, 255 - clean)


def test_a_network_for_far_more_noise_than_there_is_is_warned_of(shipped, tmp_path, capsys):
    write_picture(tmp_path / "in.png", photograph(10))
    assert command(tmp_path / "in.png", tmp_path / "out.png", "--sigma", 50) == 0
    assert "the network expects 50: details may be lost" in errors_of(capsys)[0]
    write_picture(tmp_path / "strong.png", photograph(50))
    assert command(tmp_path / "strong.png", tmp_path / "out.png", "--sigma", 50) == 0
    assert not errors_of(capsys)


def test_a_network_for_less_noise_than_there_is_is_warned_of(shipped, tmp_path, capsys):
    add(shipped, RestorationNetwork(*ARCHITECTURE, 1), sigma=30)
    write_picture(tmp_path / "in.png", photograph(50))
    assert command(tmp_path / "in.png", tmp_path / "out.png", "--sigma", 30) == 0
    assert "the network knows up to 30: noise may be left" in capsys.readouterr().err
    blind = SimpleNamespace(task="file_rgb", sigma=None)
    assert networks.misfit(blind, 70) and not networks.misfit(blind, 55)
    assert not networks.misfit(SimpleNamespace(task="deraining", sigma=None), 70)


def test_from_python_the_steps_are_those_of_the_command(shipped, tmp_path):
    network = RestorationNetwork(*ARCHITECTURE, 3)
    add(shipped, network, task="file_rgb", dataset="BSD500-RGB-files", sigma=None)
    denoise, taken, told = Denoiser(torch.device("cpu")), photograph(10), []
    answer = denoise(taken, say=told.append)
    assert answer.network.stem == "file_rgb-ir_nas-seed0-matched-10-laptop" and list(denoise.loaded) == [
        answer.network.stem]
    assert answer.sigma == noise.estimated_sigma(taken) == pytest.approx(10, rel=0.15)
    assert np.array_equal(answer.by_network, through(network, taken))
    assert np.array_equal(answer.restored, noise.limited(taken, answer.by_network, answer.sigma))
    on = runs.device_name(torch.device("cpu"))
    assert told == [f"noise of about sigma {answer.sigma:.0f}", f"{answer.network.stem}, on {on}"]
    flat = np.full((64, 64, 3), 90, np.uint8)
    assert denoise(flat).network is None and denoise(flat).restored is flat
