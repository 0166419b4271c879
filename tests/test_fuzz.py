"""Damaged and hostile input through the boundary of every command: a right result or one line, never a traceback.

The damage is drawn from a seed. By hand, fifty times as much and with the counts:

    IRNAS_FUZZ=50 python -m pytest -s tests/test_fuzz.py
"""

import hashlib
import io
import itertools
import json
import lzma
import math
import os
import random
import re
import shutil
import tarfile
import zipfile
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save
from test_batch import PROFILES, write_source

from data_scripts import fetch, prepare, sim1800, weights
from irnas_lib import command, decode, files, restore
from irnas_lib.benchmarks import brightness, camera_noise, frame
from irnas_lib.data.pictures import read_picture
from irnas_lib.experiments import cell_table, cells, choices, results, runs, search_choices, times
from irnas_lib.figures import all as figures
from irnas_lib.files import ROOT
from irnas_lib.genotypes import PUBLISHED, load_architecture
from irnas_lib.network import RestorationNetwork
from irnas_lib.pipeline import batch, execution, profiles, train
from irnas_lib.training import checkpoints

TIMES = int(os.environ.get("IRNAS_FUZZ", 1))
SEED = int(os.environ.get("IRNAS_SEED", 0))
SHIPPED = ROOT / "checkpoints"


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, cut out, doubled or put in, one to three times."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(data) + 1) if rng.random() < 0.5 else rng.randrange(min(200, len(data) + 1))
        end = min(len(data), start + rng.choice((1, 2, 4, 8, 100)))
        data[start:end] = rng.choice((
            b"", bytes(rng.randrange(256) for _ in range(end - start)), b"\0" * (end - start), b"\xff" * (end - start),
            data[start:end] * 2, b"\n"))
    return bytes(data)


NASTY = ("NaN", "Infinity", "-Infinity", "1e400", "-1", "0", "1" * 400, "1" * 5000, str(2 ** 63), "0.5", "-0.5", "1e30",
         "true", "null", '""', '"a\\nb"', '"\\u0000"', '"\\ud800"', '"../../x"', "[]", "{}", "[[]]", '{"a": 1}',
         "[" * 900 + "]" * 900, "[" * 100_000, '"$(touch x)"')


def nasty(record, rng: random.Random) -> bytes:
    """JSON with one value, at any depth, replaced."""
    places = []

    def walk(value):
        for key in value if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])
    record = json.loads(json.dumps(record))
    walk(record)
    # First a depth, else nearly all places would be deep in some curve.
    value, key = rng.choice(rng.choice([places[:30], places]))
    value[key] = "HERE"
    return json.dumps(record).replace('"HERE"', rng.choice(NASTY)).encode("utf-8", "surrogatepass")


def fuzz(name: str, number: int, make, work, capfd, *expected) -> None:
    """Gives `work` what `make` makes of a random generator, `number` times, behind the boundary of the commands."""
    outcomes = Counter()
    for i in range(number * TIMES):
        made = make(random.Random(f"{SEED} {name} {i}"))
        capfd.readouterr()
        status = command.exit_status(lambda made=made: work(made) and None, *expected)
        errors = capfd.readouterr().err
        assert (status, errors.count("\n")) in ((0, 0), (1, 1)), (i, errors)
        assert not errors or errors[:-1].isprintable(), (i, errors)
        outcomes["right" if status == 0 else "one line"] += 1
    with capfd.disabled():
        if TIMES > 1:
            print(f"\n{name}: {number * TIMES} inputs: {dict(outcomes)}", end="")
    assert outcomes["one line"] > number * TIMES / 10, "the damage was hardly ever noticed"


def pictures() -> dict[str, bytes]:
    """Of every format; TIFF packed in several ways and with a colour profile."""
    rng, made = np.random.default_rng(0), {}
    image = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize((40, 30))
    exif = image.getexif()
    exif[0x0112] = 6  # lying
    for name, kind, options in (("png", "PNG", {}), ("jpg", "JPEG", {"exif": exif}), ("bmp", "BMP", {}),
                                ("webp", "WEBP", {}), ("tif", "TIFF", {"icc_profile": b"profile" * 9}),
                                ("lzw.tif", "TIFF", {"compression": "tiff_lzw"}),
                                ("jpeg.tif", "TIFF", {"compression": "jpeg"}),
                                ("deflate.tif", "TIFF", {"compression": "tiff_adobe_deflate"})):
        file = io.BytesIO()
        image.save(file, kind, **options)
        made[name] = file.getvalue()
    return made


def test_pictures(tmp_path, capfd):
    whole = pictures()

    def make(rng):
        name = rng.choice(sorted(whole))
        path = tmp_path / f"picture.{name}"
        path.write_bytes(damaged(whole[name], rng))
        return path

    def work(path):
        for mode, channels in (("L", 1), ("RGB", 3)):
            array = read_picture(path, mode)
            assert array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == channels
    fuzz("pictures", 200, make, work, capfd)


def archives() -> dict[str, bytes]:
    made = {}
    for name, mode in (("a.tar", "w"), ("a.tgz", "w:gz"), ("a.txz", "w:xz")):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode) as archive:
            for inside, content in TINY.items():
                info = tarfile.TarInfo(inside)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        made[name] = file.getvalue()
    for name, packing in (("a.zip", zipfile.ZIP_DEFLATED), ("b.zip", zipfile.ZIP_LZMA)):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", packing) as archive:
            for inside, content in TINY.items():
                archive.writestr(inside, content)
        made[name] = file.getvalue()
    return made


TINY = {f"Tiny/{split}/{n}.jpg": f"{split} {n}".encode() * 20 for split in ("train", "test") for n in range(3)}


def test_archives(tmp_path, capfd, monkeypatch):
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in TINY.items()]
    (tmp_path / "Tiny.sha256").write_text("".join(lines))
    monkeypatch.setattr(prepare, "LISTS", tmp_path)
    whole = archives()

    def make(rng):
        name = rng.choice(sorted(whole))
        (tmp_path / name).write_bytes(damaged(whole[name], rng))
        return tmp_path / name

    def work(archive):
        taken = prepare.take_files(archive, tmp_path / "data", prepare.read_list("Tiny"))
        if taken:
            raise fetch.FetchError(f"{archive}: {len(taken)} missing")
        for name, content in TINY.items():
            assert (tmp_path / "data" / name).read_bytes() == content
    fuzz("archives", 200, make, work, capfd, fetch.FetchError)


def huge_tar(path):
    """A member of 2^80 bytes, and one of 3 GB whose bytes are holes."""
    info = tarfile.TarInfo("Tiny/train/0.jpg")
    info.size = 2 ** 80
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 10240)


def large_zip(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("Tiny/train/0.jpg", "w") as inside:
        for _ in range(fetch.LARGEST // 2 ** 20 + 1):
            inside.write(bytes(2 ** 20))


def sparse_tar(path):
    info = tarfile.TarInfo("Tiny/train/0.jpg")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[386:482] = b"7777777777\0\0" * 8  # places and lengths that cannot be
    path.write_bytes(bytes(head) + b"\0" * 10240)


def cut_lzma(path):
    path.write_bytes(lzma.compress(archives()["a.tar"])[:-200])


@pytest.mark.parametrize("make", [huge_tar, large_zip, sparse_tar, cut_lzma])
def test_archives_that_lie_about_sizes(tmp_path, make):
    make(tmp_path / "a")
    try:
        found = list(fetch.read_files(tmp_path / "a", lambda name: name.endswith("0.jpg")))
        assert all(content == TINY[name] for name, content in found)
    except fetch.FetchError as error:
        assert "\n" not in str(error)


def consume_search(path):
    record = runs.load_search(path)
    assert decode.derive_cell(torch.tensor(record["alpha"])) and decode.viterbi_path(torch.tensor(record["beta"]))
    assert record["history"][record["best"]]["psnr"] < 200


def consume_cells(path):
    for task in ("denoising", "deraining"):
        for group in cells.by_group(cells.best_known([path.parent], task)).values():
            assert all(cell["psnr"] is None or cell["psnr"] < 200 for cell in group)


def consume_result(path):
    result = results.read(path)
    assert result.stem and results.best([result], result.task, result.system, result.sigma) != {}
    assert all(scores["psnr"] < 200 for scores in result.metrics.values())


def consume_times(path):
    for record in times.load(path).values():
        assert all(seconds >= 0 for seconds in times.scaled(record).values())


def consume_choices(path):
    found = choices.load([path.parent])
    assert all(math.isfinite(row.psnr) for row in choices.worth(found, "IR-NAS + residual", 10 ** 7))


def consume_search_choices(path):
    records = search_choices.load([path.parent.parent])
    assert all(0 <= row.entropy <= 1.001 for row in search_choices.decided(records, "small"))
    assert all(record["alpha_signal"]["untouched"]["batches"] >= 0 for record in records)


def consume_frame(path):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(frame, "FILE", path)
        assert all(score["frame"] < 200 for score in frame.load().values())


def consume_brightness(path):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(brightness, "FILE", path)
        assert all(score["shifted_psnr"] < 200 for score in brightness.load().values())


def consume_camera_noise(path):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(camera_noise, "FILE", path)
        assert all(row["told_deviation"] < 200 for rows in camera_noise.load().values() for row in rows)


def consume_cell_table(path):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "folders", lambda profile: [path.parent.parent])
        for record in cell_table.read("denoising", seed=0):
            assert record["status"] == "failed" or record["test"]["psnr"] < 200


def consume_architecture(path):
    with torch.device("meta"):
        RestorationNetwork(*load_architecture(path), 1)


RECORDS = {
    "results": ("results/denoising-ir_nas-sigma50-seed0-matched-5000-gpu.json", consume_result),
    "searches": ("searches/denoising-seed0-gpu.json", consume_search),
    "cells": ("cells/denoising-random-1000-laptop.json", consume_cells),
    "choices": ("choices/ir_nas_residual-base-10M-seed0.json", consume_choices),
    "times": ("times.json", consume_times),
    "search choices": ("search_choices/small-printed-seed0.json", consume_search_choices),
    "frame": ("frame.json", consume_frame),
    "brightness": ("brightness.json", consume_brightness),
    "camera noise": ("camera_noise.json", consume_camera_noise),
    "table of cells": ("cell_table/denoising.jsonl", consume_cell_table),
    "architecture": ("architecture.json", consume_architecture),
    "bench": ("bench.json", lambda path: figures.measurements(path.parent, "bench")),
    "growth": ("growth.json", lambda path: figures.measurements(path.parent, "growth")),
    "precision": ("precision.json", lambda path: figures.measurements(path.parent, "precision"))}


@pytest.mark.parametrize("name", RECORDS)
def test_records(name, tmp_path, capfd):
    place, work = RECORDS[name]
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    if name == "architecture":
        files.write_json(file, PUBLISHED["denoising", "IR-NAS"]._asdict())
    else:
        shutil.copy(SHIPPED / place, file)
    whole = file.read_bytes()
    record, rest = (whole, b"") if file.suffix == ".json" else whole.split(b"\n", 1)

    def make(rng):
        file.write_bytes(nasty(json.loads(record), rng) + b"\n" + rest if rng.random() < 0.8 else damaged(whole, rng))
        return file
    work(file)
    fuzz(name, 60, make, work, capfd)


def test_profiles(tmp_path, capfd):
    for notebook in ("one", "two", "three"):
        write_source(tmp_path, notebook)
    listed = tmp_path / "profiles.toml"
    values = ('"x"', "-1", "nan", "inf", "1" + "0" * 400, "[1, 2]", "{}", "true", "1979-05-27", '"$(touch x)"',
              '"""\n"""', '"../x"', '"-x"', '"a b"')

    def make(rng):
        if rng.random() < 0.3:
            listed.write_bytes(damaged(PROFILES.encode(), rng))
        else:
            lines = PROFILES.splitlines()
            place = rng.choice([i for i, line in enumerate(lines) if "=" in line])
            lines[place] = f"{lines[place].partition('=')[0]}= {rng.choice(values)}"
            listed.write_text("\n".join(lines))
        return listed

    def work(path):
        for job in profiles.load("smoke", path):
            execution.prepare(job, tmp_path)
            assert profiles.PLAIN_NAME.fullmatch(job.name) and profiles.PLAIN_NAME.fullmatch(job.notebook)
    fuzz("profiles", 60, make, work, capfd, execution.BatchError)


def test_weights(tmp_path, capfd):
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    whole = save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})
    file = tmp_path / "weights.safetensors"

    def make(rng):
        content = damaged(whole, rng)
        if rng.random() < 0.3:
            content = whole.replace(b'"F32"', rng.choice((b'"F64"', b'"I32"', b'"U32"', b'"C64"')), 1)
        file.write_bytes(content)
        return file

    def work(path):
        checkpoints.load_weights(path, network, hashlib.sha256(path.read_bytes()).hexdigest())
        assert all(tensor.isfinite().all() for tensor in network.state_dict().values())
    fuzz("weights", 200, make, work, capfd)


# ---- odd arguments ----

ODD = ("", " ", "nan", "-1", "1e400", "9" * 5000, "../../x", "/dev/null", "~nosuchuser/x", "a\nb.png", "\x1b[31m.png",
       "\udcff.png", "x" * 5000, "$(touch x)", "--", "noisy.png", "noisy.png/x.png", "folder", "loop", "loop/x", "text")
ARGUMENTS = (
    (restore, ("{}", "out"), ("noisy.png", "{}"), ("--recursive", "{}", "out"), ("--sigma", "{}", "noisy.png", "out"),
     ("--tile", "{}", "noisy.png", "out"), ("--checkpoint", "{}", "noisy.png", "out")),
    (batch, ("left", "{}"), ("run", "smoke", "{}"), ("publish", "{}"), ("all", "{}"), ("figures", "{}"),
     ("all", "smoke", "--minutes", "{}"), ("all", "smoke", "--jobs", "{}"), ("{}",)),
    (train, ("smoke", "{}"), ("{}", "x")),
    (search_choices, ("smoke", "{}"), ("small", "--profile", "{}"), ("small", "--seeds", "{}")),
    (cell_table, ("deraining", "--left", "--profile", "{}"), ("deraining", "--left", "--minutes", "{}"), ("{}",)),
    (figures, ("--profile", "{}", "--out", "out"), ("--checkpoints", "{}", "--out", "out")),
    (prepare, ("BSD500", "--from", "{}", "--data", "data"), ("BSD500", "--data", "{}", "--from", "text"), ("{}",)),
    (weights, ("--from", "{}"), ("--pack", "{}")),
    (sim1800, ("--from", "{}", "--data", "out", "--jobs", "1"), ("--data", "{}", "--from", "folder"),
     ("--jobs", "{}", "--from", "folder")))


@pytest.mark.parametrize("place", range(len(ARGUMENTS)), ids=[main.__name__ for main, *_ in ARGUMENTS])
def test_arguments(place, tmp_path, monkeypatch, capfd):
    """Of commands in a folder with a picture, a folder, a file of text and a link to itself: nothing that is asked for
    ends in a traceback, a profile leads out of the runs, and no name steers the terminal."""
    home = tmp_path / "a" / "b"
    (home / "folder").mkdir(parents=True)
    (home / "text").write_text("x")
    (home / "loop").symlink_to("loop")
    (home / "folder/loop").symlink_to("loop")
    (home / "noisy.png").write_bytes(pictures()["png"])
    monkeypatch.chdir(home)
    monkeypatch.setenv("IRNAS_RUNS", str(home / "runs"))
    monkeypatch.setattr(batch, "run_all", lambda *_: 0)
    monkeypatch.setattr(figures, "write_all", lambda *_: [])
    monkeypatch.setattr(weights, "run_folder", lambda profile: home / "runs" / profile)
    command_of, *forms = ARGUMENTS[place]
    for form, odd in itertools.product(forms, ODD):
        capfd.readouterr()
        try:
            status = command_of.main([odd if part == "{}" else part for part in form])
        except SystemExit as stopped:
            assert stopped.code in (0, 2)
            continue
        errors = capfd.readouterr().err
        assert status in (0, 1) and (status == 0 or errors.splitlines()), (form, odd)
        assert all(line.isprintable() for line in re.split(r"[\r\n]", errors)), (form, odd, errors)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]  # where ../../x below runs/ would be
