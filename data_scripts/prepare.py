"""Prepare BSD500 and Rain800: download them, or take them from what you have, and check every file.

    python -m data_scripts.prepare BSD500 Rain800
    python -m data_scripts.prepare BSD500 --from BSR_bsds500.tgz

The pictures go to DATA/BSDS500/data/images/{train,val,test} and DATA/Rain800/{training,test_syn,test_nature}.
Each is compared with the SHA-256 in BSD500.sha256 or Rain800.sha256 beside this file before it is written, so
that any source serves. What is already there and right is left alone.
"""

import argparse
import hashlib
import sys
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from data_scripts.fetch import FetchError, download, read_files
from irnas_lib.command import exit_status, one_line
from irnas_lib.files import atomically, data_folder, remove_leftovers, sha256

# The official address first, then a public copy.
SOURCES = {
    "BSD500": (
        "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
        "https://github.com/BIDS/BSDS500/archive/HEAD.zip",
    ),
    "Rain800": (
        "https://drive.usercontent.google.com/download"
        "?id=1_pP8fR-gpHUB0q1kpvZxKALvjLZ-JVM8&export=download&confirm=t",
        "https://github.com/TheLethargicOwl/Single-Image-De-Raining-Keras/archive/HEAD.zip",
    ),
}
LISTS = Path(__file__).resolve().parent


def read_list(dataset: str) -> dict[str, str]:
    """The expected files, path below the data folder -> SHA-256, from the list in sha256sum's format."""
    lines = (LISTS / f"{dataset}.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def find_missing(data: Path, expected: dict[str, str]) -> dict[str, str]:
    """What of `expected` is not in `data`, or differs from its hash."""
    missing = {}
    for name, digest in tqdm(expected.items(), desc="checking", unit="file", disable=None, leave=False):
        path = data / name
        if not path.is_file() or sha256(path) != digest:
            missing[name] = digest
    return missing


def take_files(source: Path, data: Path, missing: dict[str, str]) -> dict[str, str]:
    """Write the missing files out of a folder or archive into `data`; return what is still missing.

    A file is known by its folder and name (train/100075.jpg), whatever stands before them, and by its hash.
    """
    still = dict(missing)
    names = {_key(name): name for name in missing}
    with tqdm(total=len(missing), desc="unpacking", unit="file", disable=None, leave=False) as bar:
        for inside, content in read_files(source, lambda inside: names.get(_key(inside)) in still):
            name = names[_key(inside)]
            if hashlib.sha256(content).hexdigest() == still[name]:
                with atomically(data / name) as partial:
                    partial.write_bytes(content)
                del still[name]
                bar.update()
    return still


def prepare(dataset: str, data: Path, source: Path | None = None) -> None:
    """Make one data set complete in `data`, from `source` or else from the known addresses.

    Raises:
        FetchError: the files cannot be had, or some are missing or differ there; right ones are kept.
    """
    expected = read_list(dataset)
    for folder in {(data / name).parent for name in expected}:
        if folder.is_dir():
            remove_leftovers(folder, {PurePosixPath(name).name for name in expected})
    missing = find_missing(data, expected)
    if not missing:
        _clear(data / ".download", dataset)
        print(f"{dataset}: already complete, {len(expected)} files checked in {data}")
        return
    wrong = sum((data / name).exists() for name in missing)
    origin = _from_source(data, missing, source) if source else _from_network(dataset, data, missing)
    instead = f" ({wrong} in place of wrong ones)" if wrong else ""
    print(
        f"{dataset}: {len(missing)} files written{instead} from {origin}, {len(expected)} checked in {data}"
    )


def _from_source(data: Path, missing: dict[str, str], source: Path) -> Path:
    still = take_files(source, data, missing)
    if still:
        raise FetchError(f"{source}: {len(still)} files missing or different there, the first: {min(still)}")
    return source


def _from_network(dataset: str, data: Path, missing: dict[str, str]) -> str:
    """Try one address after the other. A broken transfer is kept, an archive that was read is not."""
    for number, url in enumerate(SOURCES[dataset]):
        archive = data / ".download" / f"{dataset}-{number}.part"
        print(f"{dataset}: downloading {url}")
        try:
            download(url, archive)
        except FetchError as error:
            print(one_line(f"{dataset}: {error}"), file=sys.stderr)
            continue
        try:
            _from_source(data, missing, archive)
        except FetchError as error:
            print(one_line(f"{dataset}: {error}"), file=sys.stderr)
            archive.unlink()
            continue
        _clear(archive.parent, dataset)
        return url
    raise FetchError(
        f"{dataset}: no address worked; run the same command again to go on, or download it and use --from"
    )


def _key(name: str) -> tuple[str, ...]:
    return PurePosixPath(name).parts[-2:]


def _clear(folder: Path, dataset: str) -> None:
    for part in folder.glob(f"{dataset}-*.part"):
        part.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m data_scripts.prepare",
        description="Download BSD500 and Rain800, or take them from what you have, and check every file.",
    )
    parser.add_argument(
        "datasets", nargs="+", choices=tuple(SOURCES), metavar="DATASET", help="BSD500, Rain800"
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="PATH",
        help="an archive (.tgz, .zip) or folder that you have",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="where to put the pictures (default: IRNAS_DATA, else data/)",
    )
    options = parser.parse_args(arguments)

    def work():
        for dataset in options.datasets:
            prepare(dataset, data_folder(options.data), options.source)
    return exit_status(work, FetchError)


if __name__ == "__main__":
    sys.exit(main())
