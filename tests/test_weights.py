"""Weights beyond what checkpoints/ holds: known by their hash, from the history, an archive, a folder or an address."""

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from test_data_scripts import Server, make_folder, make_tar, make_zip, tree

from data_scripts import fetch, weights
from irnas_lib import files
from irnas_lib.experiments import runs
from irnas_lib.files import ROOT

CONTENT = {f"net{n}.safetensors": f"weights {n}".encode() * 99 for n in range(3)}


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Checkpoints with three results; only the weights of the first lie there."""
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.setattr(runs, "SHIPPED", tmp_path / "checkpoints")
    monkeypatch.setattr(fetch, "PAUSE", 0)
    source = next((ROOT / "checkpoints" / "results").glob("denoising-dncnn-*-laptop.json"))
    folder = tmp_path / "checkpoints" / "results"
    folder.mkdir(parents=True)
    for seed, (name, content) in enumerate(CONTENT.items()):
        named = {"file": f"weights/{name}", "sha256": hashlib.sha256(content).hexdigest()}
        result = json.loads(source.read_text()) | {"seed": seed, "weights": named}
        (folder / f"{seed}.json").write_text(json.dumps(result))
    make_folder(folder.with_name("weights"), dict(list(CONTENT.items())[:1]))
    return tmp_path / "checkpoints"


def found(shipped):
    return tree(shipped.parent / "runs" / "laptop" / "checkpoints" / "weights")


LACKING = dict(list(CONTENT.items())[1:])


@pytest.mark.parametrize("make, name", [(make_zip, "a.zip"), (make_tar, "a.tgz"), (make_folder, "folder")])
def test_what_lacks_is_taken_and_lies_as_if_trained_here(shipped, tmp_path, make, name):
    source = make(tmp_path / name, {f"some/where/{name}": content for name, content in CONTENT.items()})
    assert weights.main(["--from", str(source)]) == 0
    assert found(shipped) == LACKING
    run_output = runs.output_folder("laptop")
    (result, folder) = next((result, run_output) for result in runs.all_results("laptop") if result.seed == 2)
    assert runs.at_hand(result, folder)


def test_a_training_of_ones_own_under_the_same_name_is_left_alone(shipped, tmp_path, capsys):
    results = runs.output_folder("laptop") / "results"
    results.mkdir(parents=True)
    (record,) = (lacking for lacking in weights.not_shipped(shipped).values() if lacking.seed == 2)
    changed = json.dumps(record.record() | {"batch": 99})
    (results / f"{record.stem}.json").write_text(changed)
    assert weights.main(["--from", str(make_zip(tmp_path / "a.zip", CONTENT))]) == 0
    assert found(shipped) == {"net1.safetensors": CONTENT["net1.safetensors"]}
    assert (results / f"{record.stem}.json").read_text() == changed
    assert "net2.safetensors: left alone, runs/laptop has a training of its own" in capsys.readouterr().out


@pytest.mark.parametrize("address", ["://x", "http://[bad/x"])
def test_what_is_no_address_is_said_in_a_line(shipped, capsys, address):
    assert weights.main(["--from", address]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{address}: is no address")


def test_an_address_serves_and_leaves_no_archive(shipped, tmp_path):
    archive = make_zip(tmp_path / "a.zip", CONTENT)
    with Server(archive.read_bytes(), breaks=1) as server:
        assert weights.main(["--from", server.url]) == 0
        assert len(server.requests) == 2  # the second went on where the first broke off
    assert found(shipped) == LACKING
    assert not [path for path in (tmp_path / "runs" / ".download").rglob("*") if path.is_file()]


def test_other_bytes_are_refused_and_the_right_ones_kept(shipped, tmp_path, capsys):
    source = make_zip(tmp_path / "a.zip", LACKING | {"net2.safetensors": b"other"})
    assert weights.main(["--from", str(source)]) == 1
    assert "1 of 2 weights are missing or different there, the first: net2.safetensors" in capsys.readouterr().err
    assert list(found(shipped)) == ["net1.safetensors"]
    assert weights.main(["--from", str(make_zip(tmp_path / "b.zip", LACKING))]) == 0
    assert found(shipped) == LACKING
    assert weights.main(["--from", str(tmp_path / "no such file")]) == 0  # there is nothing left to ask it for


def test_other_weights_in_runs_are_not_taken_for_them(shipped, tmp_path, capsys):
    make_folder(runs.output_folder("laptop") / "weights", dict.fromkeys(LACKING, b"trained elsewhere"))
    assert weights.main(["--pack", str(tmp_path / "all.zip")]) == 1
    assert weights.main(["--from", str(make_zip(tmp_path / "a.zip", LACKING))]) == 0
    assert found(shipped) == LACKING


def git(folder, *arguments):
    subprocess.run(["git", "-C", folder, "-c", "user.name=n", "-c", "user.email=e@e", *arguments], check=True,
                   capture_output=True)


def test_the_history_gives_back_what_was_shipped_once(shipped, capsys):
    """The first version of net1 is the one that its result names, the second is not; net2 was never there."""
    git(shipped.parent, "init", "--initial-branch", "main")
    place = shipped / "weights" / "net1.safetensors"
    for content in (CONTENT["net1.safetensors"], b"another version"):
        place.write_bytes(content)
        git(shipped.parent, "add", "checkpoints")
        git(shipped.parent, "commit", "-m", "weights")
    git(shipped.parent, "rm", "checkpoints/weights/net1.safetensors")
    git(shipped.parent, "commit", "-m", "too large")
    assert weights.main([]) == 1
    assert "1 of 2 weights are missing or different there, the first: net2" in capsys.readouterr().err
    assert found(shipped) == {"net1.safetensors": CONTENT["net1.safetensors"]}


def test_without_a_history_it_says_so_in_a_line(shipped, capsys):
    assert weights.main([]) == 1
    message = capsys.readouterr().err
    assert "use --from" in message and len(message.splitlines()) == 1


def test_what_is_packed_can_be_taken_elsewhere(shipped, tmp_path, capsys):
    assert weights.main(["--pack", str(tmp_path / "none.zip")]) == 1
    assert "holds no weights" in capsys.readouterr().err and not Path(tmp_path / "none.zip").exists()
    assert weights.main(["--from", str(make_folder(tmp_path / "given", LACKING))]) == 0
    assert weights.main(["--pack", str(tmp_path / "all.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == LACKING


def test_a_kill_between_weights_and_their_result_is_made_good(shipped, tmp_path, capsys):
    source = str(make_zip(tmp_path / "a.zip", CONTENT))
    assert weights.main(["--from", source]) == 0
    lost = sorted((runs.output_folder("laptop") / "results").glob("*.json"))[0]
    before = lost.read_bytes()
    lost.unlink()
    assert weights.main(["--from", source]) == 0
    assert lost.read_bytes() == before and "its result to" in capsys.readouterr().out
