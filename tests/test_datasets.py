"""Data sets: counts, alignment of the rain pairs, disjoint splits, hashes, and one line for bad folders."""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_scripts import scenes as scenes_script
from irnas_lib.data import camera, datasets
from irnas_lib.data.datasets import DatasetError, load, load_real_rain, read_pair
from irnas_lib.data.pictures import PictureError
from irnas_lib.data.rain import add_rain, rain_streaks
from irnas_lib.data.seeds import noise_generator
from irnas_lib.files import ROOT, data_folder

DATA = os.environ.get("IRNAS_DATA")
needs_data = pytest.mark.skipif(not DATA or not os.path.isdir(DATA), reason="IRNAS_DATA names no data folder")


def random_picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def small_bsd500(tmp_path, monkeypatch):
    """BSD500's layout with 2 + 1 + 2 pictures, and a stray file as in the official archive."""
    monkeypatch.setattr(datasets, "BSD500_COUNTS", {"train": 2, "val": 1, "test": 2})
    for split, names in {"train": ("2", "30"), "val": ("1",), "test": ("5", "4")}.items():
        folder = tmp_path / "BSDS500/data/images" / split
        folder.mkdir(parents=True)
        (folder / "Thumbs.db").write_bytes(b"stray")
        for name in names:
            Image.fromarray(random_picture(40, 50, int(name))).save(folder / f"{name}.jpg")
    return tmp_path


def one_line(error):
    with pytest.raises(DatasetError) as caught:
        error()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_bsd500_joins_train_and_val_by_name(small_bsd500):
    data = load("denoising", "BSD500", small_bsd500)
    assert [picture.name for picture in data.train] == ["1", "2", "30"]
    assert [picture.name for picture in data.test] == ["4", "5"]
    assert data.validation == () and data.channels == 1
    luma = np.array(Image.open(small_bsd500 / "BSDS500/data/images/test/4.jpg").convert("L"))
    assert np.array_equal(data.test[0].clean[..., 0], luma) and data.test[0].degraded is None


@pytest.fixture
def small_sim1800(tmp_path, monkeypatch):
    """The layout of the set that data_scripts/sim1800.py builds, with 3 + 2 pairs."""
    monkeypatch.setattr(datasets, "SIM1800_COUNTS", {"train": 3, "test": 2})
    for split, count in datasets.SIM1800_COUNTS.items():
        for side in ("clean", "degraded"):
            folder = tmp_path / "SIM1800-BSD500" / split / side
            folder.mkdir(parents=True)
            for i in range(count):
                name = f"{i:04}-{split}.png"
                Image.fromarray(random_picture(20, 20, seed=i + 10 * (side == "clean"))).save(folder / name)
        (tmp_path / "SIM1800-BSD500" / split / "list.csv").write_text("patch,picture")
    return tmp_path


def test_sim1800_pairs_by_name(small_sim1800):
    data = load("sim1800", "SIM1800-BSD500", small_sim1800)
    assert [pair.name for pair in data.train] == ["0000-train", "0001-train", "0002-train"]
    assert (len(data.test), data.validation, data.channels) == (2, (), 3)
    for i, pair in enumerate(data.test):
        assert np.array_equal(pair.clean, random_picture(20, 20, seed=i + 10))
        assert np.array_equal(pair.degraded, random_picture(20, 20, seed=i))
    shutil.copytree(small_sim1800 / "SIM1800-BSD500", small_sim1800 / "SIM1800-fivek")  # built with --from
    other = load("sim1800", "SIM1800-fivek", small_sim1800)
    assert other.name == "SIM1800-fivek" and np.array_equal(other.test[0].clean, data.test[0].clean)
    assert "unknown data set 'SIM1800-a/b'" in one_line(lambda: load("sim1800", "SIM1800-a/b", small_sim1800))
    folder = small_sim1800 / "SIM1800-BSD500/test/degraded"
    (folder / "0001-test.png").rename(folder / "0001-other.png")
    assert "different names" in one_line(lambda: load("sim1800", "SIM1800-BSD500", small_sim1800))
    (folder / "0001-other.png").unlink()
    assert "1 pictures, should be 2; get the data with `python -m data_scripts.sim1800`" in one_line(
        lambda: load("sim1800", "SIM1800-BSD500", small_sim1800))


def test_hash_is_that_of_sha256sum_and_follows_the_content(small_bsd500, tmp_path_factory):
    data = load("denoising", "BSD500", small_bsd500)
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(small_bsd500).as_posix()}\n"
        for path in sorted(small_bsd500.rglob("*.jpg"))
    ]
    assert data.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "data"
    small_bsd500.rename(elsewhere)
    assert load("denoising", "BSD500", elsewhere).sha256 == data.sha256
    Image.fromarray(random_picture(40, 50, 9)).save(elsewhere / "BSDS500/data/images/test/4.jpg")
    assert load("denoising", "BSD500", elsewhere).sha256 != data.sha256


def test_missing_empty_or_incomplete_folder(small_bsd500, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    for dataset, task in (("BSD500", "denoising"), ("Rain800", "deraining")):
        assert "no such data folder" in one_line(lambda: load(task, dataset, empty / "absent"))  # noqa: B023
        assert "has no folder" in one_line(lambda: load(task, dataset, empty))  # noqa: B023
    (small_bsd500 / "BSDS500/data/images/test/4.jpg").unlink()
    assert "1 pictures, should be 2" in one_line(lambda: load("denoising", "BSD500", small_bsd500))


def test_a_further_test_set_is_a_row_of_the_task_and_a_folder(tmp_path):
    folder = tmp_path / "Set12"
    folder.mkdir()
    for i in range(12):
        Image.fromarray(random_picture(20, 30, i)).save(folder / f"{i:02}.png")
    (folder / ".partial.png").write_bytes(b"")
    found = datasets.load_test_set("denoising", "Set12", tmp_path)
    assert [picture.name for picture in found] == [f"{i:02}" for i in range(12)]
    assert all(picture.clean.shape == (20, 30, 1) and picture.degraded is None for picture in found)
    (folder / "00.png").unlink()
    with pytest.raises(DatasetError, match="11 pictures, should be 12"):
        datasets.load_test_set("denoising", "Set12", tmp_path)
    with pytest.raises(DatasetError, match="unknown test set 'Set12' for deraining .known: none"):
        datasets.load_test_set("deraining", "Set12", tmp_path)


def test_embedded_pictures_stand_in_only_for_a_reader_who_has_not_said_where_the_data_are(
        small_bsd500, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("IRNAS_DATA_REQUIRED", raising=False)
    monkeypatch.setenv("IRNAS_DATA", str(tmp_path / "absent"))
    embedded, stand_in = load("denoising", "embedded"), datasets.load_or_embedded("denoising", "BSD500")
    assert (stand_in.name, stand_in.instead_of, stand_in.sha256) == ("embedded", "BSD500", None)
    assert [picture.name for picture in stand_in.test] == [picture.name for picture in embedded.test]
    assert capsys.readouterr().out.startswith("BSD500 is not on this machine. ")
    assert "BSD500 is not on this machine, and no finished run" in one_line(stand_in.check_no_stand_in)
    embedded.check_no_stand_in()
    one_line(lambda: datasets.load_or_embedded("denoising", "BSD500", tmp_path / "elsewhere"))
    monkeypatch.setenv("IRNAS_DATA_REQUIRED", "1")
    one_line(lambda: datasets.load_or_embedded("denoising", "BSD500"))
    monkeypatch.delenv("IRNAS_DATA_REQUIRED")
    monkeypatch.setenv("IRNAS_DATA", str(small_bsd500))
    here = datasets.load_or_embedded("denoising", "BSD500")
    assert here.instead_of == "" and here.sha256 == load("denoising", "BSD500").sha256
    (small_bsd500 / "BSDS500/data/images/test/4.jpg").unlink()
    assert "should be 2" in one_line(lambda: datasets.load_or_embedded("denoising", "BSD500"))
    assert not capsys.readouterr().out


def test_a_truncated_picture_is_named(small_bsd500):
    path = small_bsd500 / "BSDS500/data/images/test/4.jpg"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(PictureError, match="test/4.jpg"):
        load("denoising", "BSD500", small_bsd500)


def test_unknown_or_unfitting_names():
    assert "unknown task 'dehazing'" in one_line(lambda: load("dehazing", "embedded"))
    assert "unknown data set 'BSD68'" in one_line(lambda: load("denoising", "BSD68"))
    assert "unknown data set 'BSD500' for deraining" in one_line(lambda: load("deraining", "BSD500"))


def test_pair_halves_are_clean_left_rainy_right_and_aligned(tmp_path):
    scene = random_picture(24, 70)
    Image.fromarray(np.concatenate([scene, 255 - scene], axis=1)).save(tmp_path / "7.png")
    pair = read_pair(tmp_path / "7.png")
    assert pair.name == "7" and pair.clean.shape == pair.degraded.shape == (24, 70 - 32, 3)
    assert np.array_equal(pair.clean, scene[:, 16:54])
    assert np.array_equal(pair.degraded, 255 - pair.clean)  # the same place of the scene in both


@pytest.fixture
def small_rain800(tmp_path):
    """Rain800's layout and numbers, with tiny pairs."""
    Image.fromarray(random_picture(8, 80)).save(tmp_path / "pair.jpg")
    for split, count in (("training", 700), ("test_syn", 100)):
        (tmp_path / "Rain800" / split).mkdir(parents=True)
        for number in range(1, count + 1):
            os.link(tmp_path / "pair.jpg", tmp_path / "Rain800" / split / f"{number}.jpg")
    return tmp_path


def test_rain800_is_split_by_scene(small_rain800):
    data, scenes = load("deraining", "Rain800", small_rain800), datasets.rain800_scenes()
    names = {"train": [f"training/{pair.name}" for pair in data.train],
             "validation": [f"training/{pair.name}" for pair in data.validation],
             "test": [f"test_syn/{pair.name}" for pair in data.test]}
    sides = {side: {scenes[name] for name in of} for side, of in names.items()}
    for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not sides[first] & sides[second]
    assert len(names["test"]) == 100 and len(sides["test"]) == 76
    assert sorted([*names["train"], *names["validation"], "training/460"]) == sorted(
        name for name in scenes if name.startswith("training/"))
    assert scenes["test_syn/6"] == scenes["training/460"]
    assert 10 <= len(names["validation"]) <= 35


def test_scenes_are_linked_in_chains():
    """Against a search through all pairs: 0-2-4 by two links, 1-3, 5 alone."""
    rng = np.random.default_rng(0)
    base = [scenes_script.thumbnail(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)) for _ in range(3)]

    def between(first, second, share):
        mixed = (1 - share) * first + share * second
        return mixed / np.linalg.norm(mixed)
    thumbnails = [base[0], base[1], between(base[0], base[2], 0.25), base[1], between(base[0], base[2], 0.5), base[2]]
    assert thumbnails[0] @ thumbnails[4] < 0.85 < min(thumbnails[0] @ thumbnails[2], thumbnails[2] @ thumbnails[4])
    assert thumbnails[4] @ thumbnails[5] < 0.85
    assert scenes_script.groups(thumbnails, 0.85).tolist() == [0, 1, 0, 1, 0, 5]


@needs_data
def test_the_listed_scenes_are_those_of_the_pictures():
    """A sample, decoded anew: pairs of one scene correlate, pairs of others do not."""
    scenes = datasets.rain800_scenes()
    sample = [name for name in scenes if int(name.split("/")[1]) % 12 == 4] + ["training/460", "test_syn/6"]
    thumbnails = {name: scenes_script.thumbnail(read_pair(Path(DATA) / f"Rain800/{name}.jpg").clean)
                  for name in sample}
    for first in sample:
        for second in sample:
            alike = thumbnails[first] @ thumbnails[second] > scenes_script.SAME_SCENE
            assert alike == (scenes[first] == scenes[second]), (first, second)


def test_seam_of_a_jpeg_does_not_reach_the_pair(tmp_path):
    """Black beside red, the seam off the 16-pixel grid: both leak across it, but not into the pair."""
    half = 89
    both = np.zeros((32, 2 * half, 3), dtype=np.uint8)
    both[:, half:] = (255, 40, 40)
    Image.fromarray(both).save(tmp_path / "a.jpg", quality=75, subsampling="4:2:0")
    decoded = np.array(Image.open(tmp_path / "a.jpg"))
    assert decoded[:, half - 9 : half].any()  # the leak is there
    pair = read_pair(tmp_path / "a.jpg")
    assert not pair.clean.any() and np.ptp(pair.degraded.reshape(-1, 3), axis=0).max() == 0


def test_pair_that_is_none(tmp_path):
    Image.fromarray(random_picture(24, 101)).save(tmp_path / "8.png")
    assert "8.png: 101 columns are no pair" in one_line(lambda: read_pair(tmp_path / "8.png"))
    Image.fromarray(random_picture(24, 64)).save(tmp_path / "9.png")
    assert "9.png" in one_line(lambda: read_pair(tmp_path / "9.png"))


@pytest.mark.parametrize("task, train, validation, test",
                         [("denoising", 6, 2, 2), ("sim1800", 3, 1, 1), ("deraining", 3, 1, 1)])
def test_embedded_is_small_disjoint_and_the_same_each_time(task, train, validation, test):
    data = load(task, "embedded")
    assert len(data.train) >= train and len(data.validation) >= validation and len(data.test) >= test
    assert data.channels == (1 if task == "denoising" else 3)
    for picture in data.validation + data.test:
        assert max(picture.clean.shape[:2]) <= 256
    again = load(task, "embedded")
    for first, second in zip(data.train + data.test, again.train + again.test, strict=True):
        assert first.name == second.name and np.array_equal(first.clean, second.clean)
        assert first.degraded is second.degraded is None or np.array_equal(first.degraded, second.degraded)
    assert data.sha256 == again.sha256


def test_no_photograph_stands_on_two_sides_in_any_task():
    sides = [
        {name for task in datasets.EMBEDDED.values() for name in task[split]}
        for split in ("train", "validation", "test")
    ]
    assert len(set.union(*sides)) == sum(map(len, sides))


def test_embedded_camera_noise_is_the_cameras():
    """Replayed step by step from the seed, and noise of a strength worth removing."""
    (pair,) = load("sim1800", "embedded").test
    rng = noise_generator(pair.name, "shot")
    parameters = camera.draw_parameters(rng)
    picture = camera.srgb_to_linear(pair.clean / 255)
    for _, stage in camera.stages(parameters, rng):
        picture = stage(picture)
    assert np.array_equal(picture, pair.degraded)
    assert 10 < np.std(pair.degraded.astype(float) - pair.clean) < 60


def test_embedded_rain_is_worth_removing():
    data = load("deraining", "embedded")
    for clean, degraded in ((p.clean.astype(float), p.degraded) for p in data.train + data.test):
        psnr = 10 * np.log10(255**2 / np.mean((clean - degraded) ** 2))
        assert 15 < psnr < 30 and (degraded >= clean).all()
    names = [picture.name for picture in data.train]
    assert len(set(names)) == len(names)


def test_rain_equation_seed_and_range():
    clean = np.random.default_rng(1).random((40, 60, 3)).astype(np.float32)
    arguments = dict(length=9, angle=20.0, density=0.02)
    layer = add_rain(
        np.zeros_like(clean), 5, **arguments
    )  # over black both modes give the streaks themselves
    assert layer.max() <= 1 and layer.min() == 0 and (layer[..., 0] == layer[..., 2]).all()
    screen = add_rain(clean, 5, **arguments)
    np.testing.assert_allclose(screen, 1 - (1 - clean) * (1 - layer), atol=1e-6)
    additive = add_rain(clean, 5, **arguments, mode="additive")
    np.testing.assert_allclose(additive, np.clip(clean + layer, 0, 1), atol=1e-6)
    assert np.array_equal(screen, add_rain(clean, 5, **arguments))
    assert not np.array_equal(screen, add_rain(clean, 6, **arguments))
    assert np.array_equal(add_rain(clean, 5), add_rain(clean, 5))


@pytest.mark.parametrize("angle, slope", [(0, 0), (45, 1), (-45, -1)])
def test_streaks_have_the_length_and_angle_asked_for(angle, slope):
    """Single drops, far apart: each streak is one straight run of pixels."""
    streaks = rain_streaks((400, 400), np.random.default_rng(3), 21, angle, 1e-4)
    rows, columns = np.nonzero(streaks)
    values = streaks[rows, columns]
    whole = 0
    for value in np.unique(values):
        y, x = rows[values == value], columns[values == value]
        if y.min() > 0 and y.max() < 399 and x.min() > 0 and x.max() < 399:
            assert np.array_equal(x - x[0], slope * (y - y[0]))
            assert len(np.unique(y)) == (21 if angle == 0 else 15)  # 20 sin 45 = 14.1 rows down
            whole += 1
    assert whole >= 5


def test_rain_density_is_a_share_of_the_pixels():
    streaks = rain_streaks((500, 500), np.random.default_rng(4), 1, 0, 0.03)
    assert abs((streaks > 0).mean() - 0.03) < 0.002
    assert not rain_streaks((50, 50), np.random.default_rng(4), 9, 0, 0).any()


@pytest.mark.parametrize("wrong", [{"length": 0}, {"angle": 90}, {"density": 1.5}, {"mode": "multiply"}])
def test_rain_refuses_arguments_out_of_range(wrong):
    with pytest.raises(ValueError):
        add_rain(np.zeros((8, 8, 3), dtype=np.float32), 0, **wrong)


def test_data_folder_argument_variable_default(monkeypatch, tmp_path):
    monkeypatch.setenv("IRNAS_DATA", str(tmp_path / "variable"))
    assert data_folder(tmp_path) == tmp_path and data_folder() == tmp_path / "variable"
    monkeypatch.setenv("IRNAS_DATA", "")
    assert data_folder() == data_folder("") == ROOT / "data"
    assert (ROOT / "irnas_lib/data/datasets.py").is_file()
    assert data_folder("~/pictures") == Path.home() / "pictures"
    monkeypatch.setenv("IRNAS_DATA", "pictures")  # below the project, for notebooks run in a folder of their own
    assert data_folder() == ROOT / "pictures"


@needs_data
def test_real_bsd500():
    data = load("denoising", "BSD500", DATA)
    assert (len(data.train), len(data.validation), len(data.test)) == (300, 0, 200)
    names = [picture.name for picture in data.train + data.test]
    assert len(set(names)) == 500
    assert all(sorted(picture.clean.shape) == [1, 321, 481] for picture in data.train + data.test)
    assert data.sha256 == "dc6cc133220d30269f016af9827a9fd73afa269a939a2120894a06a8ffa78b0d"


@needs_data
def test_real_rain800_pairs_are_aligned(monkeypatch):
    """A few pairs only: the rainy half fits the clean one best where it is, not shifted by a column."""
    for name in ("training/7", "training/645", "test_syn/12"):
        pair = read_pair(Path(DATA) / f"Rain800/{name}.jpg")
        clean, rainy = pair.clean.astype(float), pair.degraded.astype(float)
        error = {s: np.mean((clean[:, 2:-2] - np.roll(rainy, s, 1)[:, 2:-2]) ** 2) for s in (-1, 0, 1)}
        assert min(error, key=error.get) == 0


@needs_data
def test_real_rain_photographs_have_no_clean_side():
    pictures = load_real_rain(DATA)
    assert len(pictures) == 52 and all(picture.clean is None for picture in pictures)
    assert all(picture.degraded.shape[2] == 3 for picture in pictures)


@pytest.mark.parametrize(("task", "channels"), (("file_grey", 1), ("file_rgb", 3)))
def test_embedded_files_are_clean_to_train_on_and_noisy_files_to_test_on(task, channels):
    pictures = datasets.load(task, "embedded")
    assert pictures.channels == channels and all(picture.degraded is None for picture in pictures.train)
    for picture in (*pictures.validation, *pictures.test):
        assert picture.degraded.dtype == np.uint8 and np.abs(picture.degraded.astype(int) - picture.clean).mean() > 10
