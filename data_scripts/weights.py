"""Fetch the trained weights that checkpoints/ has no room for.

    python -m data_scripts.weights                        # those that it once held: from the project's history
    python -m data_scripts.weights --from weights.zip     # or an address, a folder, another clone
    python -m data_scripts.weights --pack weights.zip     # the other way: those that lie in runs/ here

checkpoints/ stays under 60 MB, so that some of its results come without their weights. A result names its weights and
their SHA-256, so that any source serves. What is found goes to runs/PROFILE/checkpoints/ beside a copy of its result,
where notebooks find it as if it had been trained here, and where `irnas_lib.restore --checkpoint` takes it from.
"""

import argparse
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from data_scripts.fetch import FetchError, download, read_files
from irnas_lib.command import exit_status
from irnas_lib.experiments import results, runs
from irnas_lib.files import atomically, run_folder, sha256


def not_shipped(shipped: Path) -> dict[str, dict]:
    """The results in a folder of checkpoints whose weights are not in it, by the name of the weights' file."""
    return {PurePosixPath(result.weights["file"]).name: result for result in results.load(shipped / "results")
            if result.weights and not runs.at_hand(result, shipped)}


def take(files: Iterator[tuple[str, bytes]], wanted: dict[str, dict]) -> dict[str, dict]:
    """Write those of `files` (name and content) that are wanted weights; return what is still wanted.

    A file is known by its name, whatever stands before it, and by the hash in its result.
    """
    still = dict(wanted)
    for inside, content in files:
        result = still.get(name := PurePosixPath(inside).name)
        if result and hashlib.sha256(content).hexdigest() == result.weights["sha256"]:
            folder = runs.output_folder(result.profile)
            with atomically(folder / result.weights["file"]) as partial:
                partial.write_bytes(content)
            results.save(result, folder / "results")
            print(f"{name}: to {folder}")
            del still[name]
    return still


def history(names: list[str], root: Path) -> Iterator[tuple[str, bytes]]:
    """Every version that the git repository at `root` ever held of files in checkpoints/weights/, newest first.

    Raises FetchError where `root` is no repository.
    """
    for name in tqdm(names, desc="searching the history", unit="file", disable=None, leave=False):
        path = f"checkpoints/weights/{name}"
        for commit in _git(root, "log", "--all", "--diff-filter=AM", "--format=%H", "--", path).decode().split():
            yield name, _git(root, "show", f"{commit}:{path}")


def _git(root: Path, *arguments: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", root, *arguments], capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise FetchError("git is not installed: use --from") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").partition("\n")[0]
        raise FetchError(f"{root}: {reason}: use --from") from None


def fetch(shipped: Path, source: str | None = None) -> None:
    """Make all weights that `shipped` has no room for available in runs/, from `source` (a file, folder or address) or
    else from the project's history. Raises FetchError where some cannot be had; found ones are kept."""
    lacking = not_shipped(shipped)
    wanted = {}
    for name, result in lacking.items():
        if _in_runs(result):
            if not _result_file(result).exists():  # a kill came between the two
                results.save(result, _result_file(result).parent)
                print(f"{name}: its result to {_result_file(result).parent}")
        elif _taken(result):
            print(f"{name}: left alone, runs/{result.profile} has a training of its own under this name")
        else:
            wanted[name] = result
    archive = run_folder(".download") / f"{hashlib.sha256((source or '').encode()).hexdigest()[:12]}.part"
    if not wanted:
        archive.unlink(missing_ok=True)
        print(f"nothing to fetch: {len(lacking)} weights are not in {shipped}, all of them in runs/")
        return
    if source is None:
        still = take(history(list(wanted), shipped.parent), wanted)
    elif "://" not in source:
        still = take(_read(Path(source), wanted), wanted)
    else:
        download(source, archive)
        try:
            still = take(_read(archive, wanted), wanted)
        finally:
            archive.unlink()
    if still:
        raise FetchError(f"{source or 'the history'}: {len(still)} of {len(wanted)} weights are missing or different "
                         f"there, the first: {min(still)}")


def _read(source: Path, wanted: dict[str, dict]) -> Iterator[tuple[str, bytes]]:
    return read_files(source, lambda inside: PurePosixPath(inside).name in wanted)


def _in_runs(result: results.Result) -> bool:
    path = runs.output_folder(result.profile) / result.weights["file"]
    return path.is_file() and sha256(path) == result.weights["sha256"]


def _taken(result: results.Result) -> bool:
    """Whether runs/ holds another result under the same name."""
    path = _result_file(result)
    return path.is_file() and results.read(path) != result


def _result_file(result: results.Result) -> Path:
    return runs.output_folder(result.profile) / "results" / f"{result.stem}.json"


def pack(shipped: Path, target: Path) -> None:
    """Write the weights in runs/ that `shipped` has no room for into a zip archive. Raises FetchError if none is."""
    here = [runs.output_folder(result.profile) / result.weights["file"]
            for result in not_shipped(shipped).values() if _in_runs(result)]
    if not here:
        raise FetchError(f"runs/ holds no weights that {shipped} lacks")
    with atomically(target) as partial, zipfile.ZipFile(partial, "w") as archive:  # not packed: they hardly shrink
        for path in tqdm(here, desc="packing", unit="file", disable=None, leave=False):
            archive.write(path, path.name)
    print(f"{target}: {len(here)} weights, {target.stat().st_size / 1e6:.1f} MB")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data_scripts.weights", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--from", dest="source", metavar="SOURCE",
                     help="an archive (.tgz, .zip), its address, or a folder (default: the git history)")
    way.add_argument("--pack", type=Path, metavar="ARCHIVE", help="write a zip archive for others, fetch nothing")
    options = parser.parse_args(arguments)

    def work():
        if options.pack:
            pack(runs.SHIPPED, options.pack)
        else:
            fetch(runs.SHIPPED, options.source)
    return exit_status(work, FetchError)


if __name__ == "__main__":
    sys.exit(main())
