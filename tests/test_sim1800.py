"""Building SIM1800's stand-in: pairs that are what their list says, the same bytes each time, and what is refused."""

import csv
import hashlib
import re
import types
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import io
from skimage.metrics import peak_signal_noise_ratio

from data_scripts import prepare, sim1800
from irnas_lib.data import camera
from irnas_lib.data.pictures import PictureError, read_picture
from irnas_lib.data.seeds import noise_generator

COUNTS = {"train": 5, "test": 2}


def photograph(seed, height, width, contrast=40):
    """A colourful scene without hard edges, uint8."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((height, width, 3)), 5, axes=(0, 1))
    return (128 + contrast * noise / noise.std()).clip(1, 254).astype(np.uint8)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


@pytest.fixture
def bsd500(tmp_path, monkeypatch):
    """A BSD500 of five small pictures for patches of 64x64, five pairs and two; threads instead of processes."""
    folder = tmp_path / "data" / sim1800.BSD500_FOLDER
    for number, split in enumerate(["train", "train", "val", "test", "test"]):
        size = (70, 90) if number % 2 else (90, 70)
        save(folder / split / f"{100 + number}.png", photograph(number, *size, contrast=1 if number == 1 else 40))
    monkeypatch.setenv("IRNAS_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(sim1800, "SIM1800_COUNTS", COUNTS)
    monkeypatch.setattr(sim1800, "SIDE", 64)
    monkeypatch.setattr(sim1800, "BAND", (5, 60))
    use_threads(monkeypatch)
    return folder


def use_threads(monkeypatch):
    monkeypatch.setattr(sim1800.multiprocessing, "get_context", lambda _: types.SimpleNamespace(Pool=in_threads))


def in_threads(jobs, *_):
    return ThreadPool(jobs)


def run(*arguments):
    return sim1800.main([*map(str, arguments), "--jobs", "1"])


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_list(folder):
    with open(folder / "list.csv", newline="") as file:
        return list(csv.DictReader(file))


def error_of(capsys, *arguments):
    """The one line that a refused command says."""
    assert run(*arguments) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_six_places_cover_a_picture_of_bsd500_lying_or_standing():
    lying = [(top, left) for top in (0, 65) for left in (0, 112, 225)]
    assert sim1800.corners(321, 481) == lying
    assert sorted(sim1800.corners(481, 321)) == sorted((left, top) for top, left in lying)
    assert sim1800.corners(256, 256) == [(0, 0)]
    assert sim1800.corners(256, 257) == [(0, 0), (0, 1)]
    assert sim1800.corners(255, 900) == []


def test_every_picture_gives_one_patch_before_any_gives_a_second(tmp_path):
    paths = [tmp_path / f"{n}.png" for n in range(20)]
    order = sim1800.candidates(tmp_path, paths)
    names = [candidate.picture for candidate in order]
    assert len(set(order)) == len(order) == 120
    assert all(set(names[start:start + 20]) == {path.name for path in paths} for start in range(0, 120, 20))
    assert names[:20] != sorted(names[:20])
    assert order == sim1800.candidates(tmp_path, paths[::-1])


def test_the_pairs_are_what_their_list_says(bsd500, tmp_path, capsys):
    assert run("--data", tmp_path / "out") == 0
    out, expected = tmp_path / "out" / "SIM1800-BSD500", set()
    for split, count in COUNTS.items():
        rows = read_list(out / split)
        expected.add(f"{split}/list.csv")
        kept = [row for row in rows if row["verdict"] == "kept"]
        assert [row["patch"][:5] for row in kept] == [f"{number:04}-" for number in range(1, count + 1)]
        for row in kept:
            assert row["patch"][5:-4] in row["picture"]
            clean, degraded = (read_picture(out / split / side / row["patch"]) for side in ("clean", "degraded"))
            top, left = int(row["top"]), int(row["left"])
            source = read_picture(bsd500 / row["picture"])[top:top + 64, left:left + 64]
            assert np.array_equal(clean, source), "through linear light and back"
            assert float(row["psnr"]) == pytest.approx(peak_signal_noise_ratio(clean, degraded), abs=1e-3)
            for side in ("clean", "degraded"):
                content = (out / split / side / row["patch"]).read_bytes()
                assert row[side] == hashlib.sha256(content).hexdigest()
                expected.add(f"{split}/{side}/{row['patch']}")
        assert len({(row["picture"], row["top"], row["left"]) for row in rows}) == len(rows), "no place twice"
    assert tree(out).keys() == expected
    flat = [row for row in read_list(out / "train") if row["picture"] == "train/101.png"]
    assert flat and all(row["verdict"] == "flat" and not row["patch"] for row in flat)


def test_the_degraded_patch_is_the_cameras_with_the_parameters_of_the_list(bsd500):
    candidate = sim1800.candidates(bsd500, [bsd500 / "val" / "102.png"])[2]
    row, clean, degraded = sim1800.examine(candidate)
    rng = noise_generator(sim1800.SEED, "val/102.png", 2)
    parameters = camera.draw_parameters(rng)
    assert np.array_equal(degraded, camera.photograph(camera.srgb_to_linear(clean / 255), parameters, rng))
    listed = [float(row[name]) for name in parameters._fields]
    assert listed == pytest.approx(list(parameters), rel=1e-4)


def test_no_test_scene_is_trained_on(bsd500, tmp_path):
    run("--data", tmp_path)
    pictures = {split: {row["picture"] for row in read_list(tmp_path / "SIM1800-BSD500" / split)} for split in COUNTS}
    assert {name.split("/")[0] for name in pictures["train"]} == {"train", "val"}
    assert {name.split("/")[0] for name in pictures["test"]} == {"test"}


def test_of_a_folder_every_eighth_picture_is_for_the_test(tmp_path):
    for n in range(17):
        (tmp_path / f"{n:02}.JPG").touch()
    (tmp_path / "notes.txt").touch()
    split = sim1800.folder_pictures(tmp_path)
    assert [path.name for path in split["test"]] == ["00.JPG", "08.JPG", "16.JPG"]
    assert len(split["train"]) == 14 and not set(split["train"]) & set(split["test"])


def test_processes_make_the_same_bytes_as_one_thread(tmp_path, monkeypatch):
    paths = [save(tmp_path / "in" / f"{number}.png", photograph(number, 256, 270)) for number in range(3)]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    sim1800.build_split(tmp_path / "in", paths, tmp_path / "processes", 3, jobs=2)
    use_threads(monkeypatch)
    sim1800.build_split(tmp_path / "in", paths, tmp_path / "thread", 3, jobs=1)
    assert tree(tmp_path / "processes") == tree(tmp_path / "thread")
    assert len(tree(tmp_path / "thread")) == 7


def test_an_interrupted_build_goes_on_and_ends_the_same(bsd500, tmp_path, monkeypatch):
    run("--data", tmp_path / "whole")
    examine, write, seen = sim1800.examine, sim1800.write_picture, []

    def interrupted(path, patch):
        if path.name.startswith("0003") and path.parent.name == "degraded":
            raise KeyboardInterrupt
        write(path, patch)

    def counted(candidate):
        seen.append(candidate)
        return examine(candidate)

    monkeypatch.setattr(sim1800, "write_picture", interrupted)
    assert run("--data", tmp_path / "cut") == 130
    done = len(read_list(tmp_path / "cut" / "SIM1800-BSD500" / "train"))
    monkeypatch.setattr(sim1800, "write_picture", write)
    monkeypatch.setattr(sim1800, "examine", counted)
    assert run("--data", tmp_path / "cut") == 0
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")
    order = sim1800.candidates(bsd500, sim1800.bsd500_pictures(bsd500)["train"])
    assert done >= 2 and not set(seen) & set(order[:done])
    del seen[:]
    assert run("--data", tmp_path / "cut") == 0 and not seen, "a complete build is left alone"


def test_a_damaged_pair_is_made_again(bsd500, tmp_path):
    run("--data", tmp_path)
    whole = tree(tmp_path / "SIM1800-BSD500")
    name = next(name for name in sorted(whole) if name.startswith("train/degraded/0003"))
    (tmp_path / "SIM1800-BSD500" / name).write_bytes(b"damaged")
    run("--data", tmp_path)
    assert tree(tmp_path / "SIM1800-BSD500") == whole


def test_patches_of_an_earlier_build_from_other_photographs_are_removed(bsd500, tmp_path):
    run("--data", tmp_path)
    whole = tree(tmp_path / "SIM1800-BSD500")
    for picture in (bsd500 / "train").iterdir():
        save(picture.with_name(f"9{picture.name}"), photograph(7, 70, 90))
    run("--data", tmp_path)
    longer = tree(tmp_path / "SIM1800-BSD500")
    assert longer.keys() != whole.keys() and len(longer) == len(whole)


@pytest.mark.parametrize("wanted", ("kept", "flat"))
def test_a_row_cut_short_is_written_again(bsd500, tmp_path, wanted):
    run("--data", tmp_path)
    whole = tree(tmp_path)
    path = tmp_path / "SIM1800-BSD500" / "train" / sim1800.LIST
    lines = path.read_text().splitlines(keepends=True)
    last = next(i for i, line in enumerate(lines) if f",{wanted}," in line)
    path.write_text("".join(lines[:last]) + lines[last].split(f",{wanted},")[0] + f",{wanted[:2]}")
    run("--data", tmp_path)
    assert tree(tmp_path) == whole


def test_flat_clipped_and_out_of_band_patches_are_refused():
    patch = photograph(1, 256, 256)
    low, high = sim1800.BAND
    assert [sim1800.verdict(patch, decibels) for decibels in (low - 0.1, low, high, high + 0.1)] == [
        "out of band", "kept", "kept", "out of band"]
    assert sim1800.verdict(photograph(1, 256, 256, contrast=5), 25) == "flat"
    for value in (0, 255):
        clipped = patch.copy()
        clipped[:51, :, 1] = value
        assert sim1800.verdict(clipped, 25) == "kept"
        clipped[:52, :, 1] = value
        assert sim1800.verdict(clipped, 25) == "clipped"


def test_sixteen_bits_are_read_and_a_large_photograph_is_reduced(tmp_path):
    levels = photograph(2, 600, 520).astype(np.uint16) * 257 + 13
    io.imsave(tmp_path / "a.tif", levels, check_contrast=False)
    linear = camera.srgb_to_linear(levels / 65535)
    reduced = gaussian_filter(linear, (2, 2, 0))[::2, ::2]
    np.testing.assert_allclose(sim1800.read_linear(tmp_path / "a.tif"), reduced, atol=1e-12)
    assert sim1800.read_linear(save(tmp_path / "b.png", photograph(3, 1500, 1100))).shape == (375, 275, 3)
    assert sim1800.read_linear(save(tmp_path / "c.png", photograph(3, 511, 600))).shape == (511, 600, 3)


def test_tiff_files_that_do_not_fit_are_refused(tmp_path):
    io.imsave(tmp_path / "grey.tif", photograph(2, 30, 30)[..., 0], check_contrast=False)
    (tmp_path / "text.tif").write_text("not a picture")
    for name in ("grey.tif", "text.tif", "absent.tif"):
        with pytest.raises(PictureError, match=name):
            sim1800.read_linear(tmp_path / name)


def test_errors_are_one_line(bsd500, tmp_path, monkeypatch, capsys):
    assert "no such folder" in error_of(capsys, "--from", tmp_path / "absent", "--data", tmp_path)
    for name, size in (("0 test", (90, 70)), ("1 small", (90, 63)), ("2 narrow", (90, 64))):
        save(tmp_path / "few" / f"{name}.png", photograph(1, *size))
    assert "only 3 of 5 patches for train pass" in error_of(capsys, "--from", tmp_path / "few", "--data", tmp_path)
    verdicts = [row["verdict"] for row in read_list(tmp_path / "SIM1800-few" / "train")]
    assert sorted(verdicts) == ["kept"] * 3 + ["too small"] * 9
    (tmp_path / "few").rename(tmp_path / "BSD500")
    with pytest.raises(SystemExit):  # it would take the place of the usual set
        run("--from", tmp_path / "BSD500", "--data", tmp_path)
    assert "would take the place of SIM1800-BSD500" in capsys.readouterr().err
    for name in ("My Photos", "photos+more"):
        with pytest.raises(SystemExit):  # no data set could be called so
            run("--from", tmp_path / name, "--data", tmp_path)
        assert f"would be called 'SIM1800-{name}'" in capsys.readouterr().err
    (bsd500 / "val" / "102.png").write_bytes(b"not a picture")
    assert "102.png: not a picture" in error_of(capsys, "--data", tmp_path / "out")


def test_a_default_build_is_compared_with_the_published_hashes(bsd500, tmp_path, monkeypatch, capsys):
    assert run("--data", tmp_path) == 0
    assert "warning: 3624 of 3624 files differ" in (output := capsys.readouterr().err) and "libjpeg-turbo" in output
    files = {name: content for name, content in tree(tmp_path).items() if name.startswith("SIM1800") and ".png" in name}
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()]
    (tmp_path / "SIM1800-BSD500.sha256").write_text("".join(lines))
    monkeypatch.setattr(prepare, "LISTS", tmp_path)
    assert run("--data", tmp_path) == 0
    output = capsys.readouterr()
    assert f"all {2 * 7} files are as published" in output.out and "warning" not in output.err


def test_the_published_hashes_name_every_pair():
    names = prepare.read_list("SIM1800-BSD500")
    for split, count in {"train": 1600, "test": 212}.items():
        clean, degraded = ({name.split("/")[-1] for name in names if name.startswith(f"SIM1800-BSD500/{split}/{side}/")}
                           for side in ("clean", "degraded"))
        assert clean == degraded and len(clean) == count
    assert len(names) == 2 * (1600 + 212)


@pytest.mark.parametrize("damage", (
    lambda lines: [line.replace(",kept,", ",ke\0t,") for line in lines],
    lambda lines: [lines[0], lines[1][:-9], *lines[2:]],
    lambda lines: [lines[0][:20], *lines[1:]],
    lambda lines: [*lines[:2], lines[2] + ",more", *lines[3:]],
    lambda lines: [*lines[:2], re.sub(r",\d+\.\d{3},", ",nan,", lines[2]), *lines[3:]],
    lambda lines: [*lines[:2], "\xff" * 200_000, *lines[3:]]))
def test_from_a_damaged_row_on_a_list_is_made_again(bsd500, tmp_path, damage):
    run("--data", tmp_path)
    whole = tree(tmp_path)
    path = tmp_path / "SIM1800-BSD500" / "train" / sim1800.LIST
    path.write_text("\n".join(damage(path.read_text().split("\n"))), encoding="latin-1")
    assert run("--data", tmp_path) == 0 and tree(tmp_path) == whole
