"""From files to files: which picture goes where, and each of them read, restored and written."""

import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from tqdm import tqdm

from irnas_lib.command import one_line
from irnas_lib.data.pictures import SUFFIXES, PictureError, check_alpha, write_picture
from irnas_lib.experiments import results
from irnas_lib.figures.before_after import side_by_side
from irnas_lib.restore import RestoreError
from irnas_lib.restore.denoiser import Denoiser
from irnas_lib.restore.networks import misfit
from irnas_lib.restore.noise import estimated_sigma
from irnas_lib.restore.pictures import read, restore_picture

NAMES_SHOWN = 5  # of the files in a folder that are no pictures


def say(message: object) -> None:
    """One line on standard error, above a progress bar."""
    tqdm.write(one_line(message), file=sys.stderr)


def output_names(files: list[Path]) -> list[str]:
    """A name without suffix for each of the files of one folder, no two alike: its own, with the old suffix where
    another file would get the same. Upper and lower case are alike, as some file systems have it."""
    names = [path.stem for path in files]
    while True:
        shared = Counter(name.casefold() for name in names)
        longer = [path.name if shared[name.casefold()] > 1 else name for path, name in zip(files, names)]
        if longer == names:
            return names
        names = longer


def pictures_in(source: Path, target: Path, recursive: bool) -> Iterable[tuple[Path, list[Path]]]:
    """(folder, its pictures), by name: `source`, and with `recursive` the folders below it but for `target`. Hidden
    files and folders do not count, other files are skipped with a word."""
    strange = []
    for folder, below, names in os.walk(source, onerror=say):
        below[:] = sorted(name for name in below if recursive and not name.startswith(".")
                          and os.path.realpath(Path(folder, name)) != os.path.realpath(target))
        files = [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
        yield Path(folder), [path for path in files if path.suffix.lower() in SUFFIXES and path.is_file()]
        strange += [path.name for path in files if path.suffix.lower() not in SUFFIXES]
    if strange:
        more = f" and {len(strange) - NAMES_SHOWN} more" if strange[NAMES_SHOWN:] else ""
        say(f"skipped, no pictures: {', '.join(strange[:NAMES_SHOWN])}{more}")


def plan(source: Path, target: Path, recursive: bool = False, compare: bool = False) -> list[tuple[Path, Path]]:
    """(input, output) pairs, no two outputs alike. Says what it skips; raises RestoreError.

    recursive: whether folders are read with the folders below them. compare: whether a comparison is written beside
    each output, which then is checked too.
    """
    if source.is_file():
        into_folder = target.is_dir() or not target.suffix
        if into_folder and target.exists() and not target.is_dir():
            raise RestoreError(f"{target}: is no folder, and without a suffix no picture")
        if not into_folder and target.suffix.lower() not in SUFFIXES:
            raise RestoreError(f"{target}: unknown suffix, use one of {', '.join(SUFFIXES)}")
        pairs = [(source, target / f"{source.stem}.png" if into_folder else target)]
    elif source.is_dir():
        if target.is_file():
            raise RestoreError(f"{target}: is a file; a folder of pictures needs a folder")
        if target.exists() and target.samefile(source):
            raise RestoreError(f"{target}: is the folder of the input, which is never overwritten")
        pairs = [(path, target / folder.relative_to(source) / f"{name}.png")
                 for folder, files in pictures_in(source, target, recursive)
                 for path, name in zip(files, output_names(files))]
        if not pairs:
            raise RestoreError(f"{source}: holds no pictures ({', '.join(SUFFIXES)})")
    else:
        raise RestoreError(f"{source}: no such file or folder")
    inputs = {(status.st_dev, status.st_ino) for status in (path.stat() for path, _ in pairs)}
    outputs = {output for _, output in pairs}
    for output in [*outputs, *map(comparison, outputs)] if compare else outputs:
        if output.exists() and (output.stat().st_dev, output.stat().st_ino) in inputs:
            raise RestoreError(f"{output}: is an input, which is never overwritten")
    if compare and (twice := outputs & set(map(comparison, outputs))):
        raise RestoreError(f"{min(twice)}: would be both a restored picture and a comparison")
    return pairs


def comparison(output: Path) -> Path:
    """Where the comparison of a restored picture is written."""
    return output.with_name(f"{output.stem}-compared.png")


def restore_files(chosen: tuple[results.Result, Path] | None, pairs: list[tuple[Path, Path]], device: torch.device,
                  tile: int = 0, compare: bool = False) -> int:
    """Restores each input into its output; returns how many failed, each of them said in one line.

    chosen: a result and its folder of checkpoints for all of them, whose network's answer is written as it is; None
    takes for each picture what fits it, and no more than the noise away. compare: whether a picture of before and after
    is written beside each output.
    """
    failed, denoiser = 0, Denoiser(device, chosen and chosen[1])

    def restored(path, array):
        def tell(line):
            say(f"{path}: {line}")
        if not chosen:
            return denoiser(array, tile, path.name, tell).restored
        if warning := misfit(chosen[0], estimated_sigma(array)):
            tell(warning)
        return restore_picture(*denoiser.load(chosen[0]), array, tile, path.name)

    if chosen:
        denoiser.load(chosen[0], say)
    for path, output in tqdm(pairs, desc="restoring", unit="picture", disable=len(pairs) == 1):
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            photo = read(path)
            check_alpha(output, photo.alpha)
            array = restored(path, photo.array)
            write_picture(output, array, photo.profile, photo.alpha)
            if compare:
                write_picture(comparison(output), side_by_side(photo.array, array), photo.profile)
        except (PictureError, OSError) as error:
            failed += 1
            say(error)
        except (MemoryError, RuntimeError) as error:  # torch has no type of its own for a CPU whose memory ends
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            failed += 1
            say(f"{path}: not enough memory; try --tile 192, or less")
    return failed
