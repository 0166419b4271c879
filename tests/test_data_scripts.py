"""Fetching data: resumption, hashes, archives that mean harm, and a command that says what it did."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from data_scripts import fetch, prepare
from data_scripts.fetch import FetchError, download, read_files
from irnas_lib import files

FILES = {f"Tiny/{split}/{n}.jpg": f"{split} {n}".encode() * 50 for split in ("train", "test") for n in (1, 2)}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A data set "Tiny" of four files, known by its hash list; the data folder is the value."""
    lists = tmp_path / "lists"
    lists.mkdir()
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in FILES.items()]
    (lists / "Tiny.sha256").write_text("".join(lines))
    monkeypatch.setattr(prepare, "LISTS", lists)
    monkeypatch.setattr(prepare, "SOURCES", {"Tiny": ()})
    monkeypatch.setattr(fetch, "PAUSE", 0)
    return tmp_path / "data"


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def make_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path, files, *special):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in special:
            archive.addfile(info)
    return path


def make_folder(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


MAKERS = [(make_zip, "a.zip"), (make_tar, "a.tgz"), (make_folder, "folder")]


def run(data, *arguments):
    return prepare.main(["Tiny", "--data", str(data), *map(str, arguments)])


class Server:
    """Serves one content at every path. `breaks`: the first so many answers stop half way."""

    def __init__(self, content, ranges=True, breaks=0, status=200):
        self.requests = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                outer.requests.append(asked)
                if status != 200:
                    return self.send_error(status)
                start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and ranges else 0
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                self.send_response(206 if asked and ranges else 200)
                if asked and ranges:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                body = content[start:]
                self.wfile.write(body[: len(body) // 2] if len(outer.requests) <= breaks else body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/tiny"

    def __enter__(self):
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


CONTENT = bytes(range(256)) * 400


@pytest.mark.parametrize("ranges", [True, False], ids=["with Range", "without Range"])
def test_a_begun_download_is_completed(tmp_path, ranges):
    partial = tmp_path / "x.part"
    partial.write_bytes(CONTENT[:1000] if ranges else b"other bytes")
    with Server(CONTENT, ranges) as server:
        download(server.url, partial)
    assert partial.read_bytes() == CONTENT
    assert server.requests[0].startswith("bytes=")


def test_a_transfer_that_breaks_off_is_taken_up_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE", 0)
    with Server(CONTENT, breaks=2) as server:
        download(server.url, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert server.requests == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]


def test_a_transfer_that_goes_on_breaking_keeps_what_came(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE", 0)
    with Server(CONTENT, breaks=9) as server:
        with pytest.raises(FetchError, match="broke off after"):
            download(server.url, tmp_path / "x.part")
        kept = (tmp_path / "x.part").read_bytes()
        assert len(kept) > len(CONTENT) // 2 and CONTENT.startswith(kept)


def test_a_complete_partial_is_not_fetched_again(tmp_path):
    (tmp_path / "x.part").write_bytes(CONTENT)
    with Server(CONTENT) as server:
        download(server.url, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == CONTENT and len(server.requests) == 1


def test_a_partial_of_another_file_is_begun_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE", 0)
    (tmp_path / "x.part").write_bytes(CONTENT + b"longer")
    with Server(CONTENT) as server:
        download(server.url, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == CONTENT


def test_interrupt_keeps_the_partial_download(tiny, monkeypatch, capsys):
    class Interrupted:
        def __init__(self, **_): ...
        def __enter__(self): ...
        def __exit__(self, *_): ...
        def update(self, _):
            raise KeyboardInterrupt

    with Server(CONTENT) as server:
        monkeypatch.setattr(prepare, "SOURCES", {"Tiny": (server.url,)})
        monkeypatch.setattr(fetch, "tqdm", Interrupted)
        monkeypatch.setattr(fetch, "CHUNK", 1000)
        assert run(tiny) == 130
    assert (tiny / ".download/Tiny-0.part").read_bytes() == CONTENT[:1000]
    assert "the same command goes on" in capsys.readouterr().err


def test_download_check_and_clean_up(tiny, tmp_path, monkeypatch, capsys):
    archive = make_tar(tmp_path / "a.tgz", {f"prefix/{name}": content for name, content in FILES.items()})
    with Server(archive.read_bytes()) as server:
        monkeypatch.setattr(prepare, "SOURCES", {"Tiny": (server.url,)})
        assert run(tiny) == 0
        assert "4 files written" in capsys.readouterr().out
        assert tree(tiny) == FILES and os.listdir(tiny) == ["Tiny"]
        assert run(tiny) == 0 and len(server.requests) == 1  # the second run asks nobody
    assert "already complete, 4 files checked" in capsys.readouterr().out


@pytest.mark.parametrize("bad", ["gone", "a page instead", "wrong pictures", "damaged"])
def test_the_second_address_serves_where_the_first_does_not(tiny, tmp_path, monkeypatch, capsys, bad):
    good = make_zip(tmp_path / "good.zip", FILES).read_bytes()
    first = {
        "gone": b"",
        "a page instead": b"<html>quota exceeded</html>",
        "wrong pictures": make_zip(tmp_path / "bad.zip", {name: b"other" for name in FILES}).read_bytes(),
        "damaged": make_tar(tmp_path / "bad.tgz", {"big": os.urandom(50000)} | FILES).read_bytes()[:40000],
    }[bad]
    with Server(first, status=404 if bad == "gone" else 200) as first_server, Server(good) as second_server:
        monkeypatch.setattr(prepare, "SOURCES", {"Tiny": (first_server.url, second_server.url)})
        assert run(tiny) == 0
    assert tree(tiny) == FILES
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_page_instead_of_an_archive_is_not_resumed(tiny, monkeypatch):
    with Server(b"<html>quota exceeded</html>") as server:
        monkeypatch.setattr(prepare, "SOURCES", {"Tiny": (server.url,)})
        assert run(tiny) == 1 and run(tiny) == 1
    assert server.requests == [None, None]


def test_no_address_works(tiny, monkeypatch, capsys):
    with Server(b"", status=503) as server:
        monkeypatch.setattr(prepare, "SOURCES", {"Tiny": (server.url,)})
        assert run(tiny) == 1
    error = capsys.readouterr().err.splitlines()
    assert "HTTP 503" in error[0] and error[1].startswith("Tiny: no address worked")


@pytest.mark.parametrize("make, name", MAKERS)
@pytest.mark.parametrize("prefix", ["", "some/where/"])
def test_from_archive_or_folder_with_any_prefix(tiny, tmp_path, capsys, make, name, prefix):
    others = {"README": b"1", "train/9.jpg": b"2", "1.jpg": b"3", "old/train/1.jpg": b"another picture"}
    source = make(tmp_path / name, others | {prefix + path.partition("/")[2]: c for path, c in FILES.items()})
    assert run(tiny, "--from", source) == 0
    assert tree(tiny) == FILES
    assert f"4 files written from {source}, 4 checked in {tiny}" in capsys.readouterr().out
    assert source.exists()


def test_wrong_and_missing_files_are_named_right_ones_kept(tiny, tmp_path, capsys):
    files = FILES | {"Tiny/test/1.jpg": b"wrong"}
    del files["Tiny/train/2.jpg"]
    assert run(tiny, "--from", make_folder(tmp_path / "folder", files)) == 1
    assert "2 files missing or different there, the first: Tiny/test/1.jpg" in capsys.readouterr().err
    assert sorted(tree(tiny)) == ["Tiny/test/2.jpg", "Tiny/train/1.jpg"]


def test_a_wrong_file_in_place_is_replaced_and_reported(tiny, tmp_path, capsys):
    make_folder(tiny, FILES | {"Tiny/test/1.jpg": b"wrong", "Tiny/own.txt": b"the user's"})
    assert run(tiny, "--from", make_zip(tmp_path / "a.zip", FILES)) == 0
    assert "1 files written (1 in place of wrong ones)" in capsys.readouterr().out
    assert tree(tiny) == FILES | {"Tiny/own.txt": b"the user's"}


@pytest.mark.parametrize(
    "name", ["../Tiny/train/1.jpg", "/tmp/train/1.jpg", "a/../../train/1.jpg", "..\\x.jpg"]
)
@pytest.mark.parametrize("make, file", MAKERS[:2])
def test_a_name_that_points_outside_is_refused(tiny, tmp_path, capsys, make, file, name):
    before = set(tmp_path.parent.rglob("*"))
    source = make(tmp_path / file, {name: FILES["Tiny/train/1.jpg"]})
    assert run(tiny, "--from", source) == 1
    error = capsys.readouterr().err
    assert "points outside" in error and error.count("\n") == 1
    assert set(tmp_path.parent.rglob("*")) - before == {source}


def test_links_in_an_archive_are_not_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    link, hard, pipe = (tarfile.TarInfo(f"train/{n}.jpg") for n in (1, 2, 3))
    link.type, link.linkname = tarfile.SYMTYPE, str(secret)
    hard.type, hard.linkname = tarfile.LNKTYPE, "train/0.jpg"
    pipe.type = tarfile.FIFOTYPE
    archive = make_tar(tmp_path / "a.tgz", {"train/0.jpg": b"plain"}, link, hard, pipe)
    assert list(read_files(archive, lambda name: True)) == [("train/0.jpg", b"plain")]
    info = zipfile.ZipInfo("train/1.jpg")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, str(secret))
    assert list(read_files(tmp_path / "a.zip", lambda name: True)) == []


@pytest.mark.parametrize("problem", ["absent", "text", "truncated zip", "truncated tar", "changed zip"])
def test_bad_sources_give_one_line(tiny, tmp_path, capsys, problem):
    noise = {"noise": os.urandom(40000)} | FILES
    whole = {"zip": make_zip(tmp_path / "w.zip", FILES), "tar": make_tar(tmp_path / "w.tgz", noise)}
    source = tmp_path / "source"
    if problem == "text":
        source.write_text("no archive")
    elif problem.startswith("truncated"):
        content = whole[problem[-3:]].read_bytes()
        source.write_bytes(content[: len(content) // 2])
    elif problem == "changed zip":
        source.write_bytes(whole["zip"].read_bytes().replace(b"train 1train", b"train 2train"))
    assert run(tiny, "--from", source) == 1
    error = capsys.readouterr().err
    assert error.startswith(str(source)) and error.count("\n") == 1


def test_unknown_data_set_and_help(capsys):
    for arguments, status in ((["SIDD"], 2), ([], 2), (["--help"], 0)):
        with pytest.raises(SystemExit) as caught:
            prepare.main(arguments)
        assert caught.value.code == status
    assert "--from" in capsys.readouterr().out


def test_shipped_lists_match_the_layout_that_datasets_reads():
    from irnas_lib.data.datasets import BSD500_COUNTS, BSD500_FOLDER, RAIN800_COUNTS

    expected = {f"{BSD500_FOLDER}/{split}": count for split, count in BSD500_COUNTS.items()}
    expected |= {f"Rain800/{split}": count for split, count in RAIN800_COUNTS.items()}
    names = [name for dataset in prepare.SOURCES for name in prepare.read_list(dataset)]
    counts = {folder: sum(os.path.dirname(name) == folder for name in names) for folder in expected}
    assert counts == expected and len(names) == sum(expected.values())
    digests = [digest for dataset in prepare.SOURCES for digest in prepare.read_list(dataset).values()]
    assert all(len(digest) == 64 for digest in digests)


def test_what_a_killed_run_left_is_cleared_and_what_is_the_users_stays(tiny, tmp_path):
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    notes = {"Tiny/train/.1.2024.txt": b"notes", f"Tiny/train/.1.{os.getpid()}.jpg": b"of a process that runs"}
    make_folder(tiny, FILES | notes | {f"Tiny/train/.1.{killed.pid}.jpg": b"half", ".download/Tiny-0.part": b"half"})
    os.utime(tiny / f"Tiny/train/.1.{os.getpid()}.jpg")
    assert run(tiny) == 0  # complete: nothing is downloaded
    assert tree(tiny) == FILES | notes


def test_a_home_that_nobody_has_is_a_missing_folder(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("IRNAS_DATA", "~nosuchuser/data")
    assert files.data_folder() == files.ROOT / "~nosuchuser/data" and files.data_folder("~nosuchuser").name
