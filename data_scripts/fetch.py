"""Downloading with resumption, and reading files out of a folder, a zip or a tar archive.

Nothing is unpacked here: a caller gets names and bytes, so that no name from an archive ever becomes a path
on the disk.
"""

import http.client
import stat
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from tqdm import tqdm

CHUNK = 1 << 18
ATTEMPTS = 3
TIMEOUT = 30  # seconds without a byte
PAUSE = 2  # seconds before the next attempt
LARGEST = 1 << 27  # bytes of a file: no picture and no weights are larger, whatever an archive says


class FetchError(RuntimeError):
    """A source that cannot be used; the message is one line."""


def download(url: str, partial: Path) -> None:
    """Fetch `url` into the file `partial`, going on where an earlier call stopped.

    A transfer that breaks off is taken up again, three attempts in all. What has come stays in `partial`,
    also when the user interrupts.

    Raises:
        FetchError: no connection, an HTTP error, or a transfer that broke off at each attempt.
    """
    partial.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(ATTEMPTS):
        try:
            return _download_once(url, partial)
        except urllib.error.HTTPError as error:
            raise FetchError(f"{url}: HTTP {error.code} {error.reason}") from None
        except ValueError as error:
            raise FetchError(f"{url}: is no address ({error})") from None
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            if attempt + 1 == ATTEMPTS:
                raise FetchError(f"{url}: {getattr(error, 'reason', None) or error}") from None
            time.sleep(PAUSE)


def _download_once(url: str, partial: Path) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "irnas-data-scripts"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing lies beyond what we have
            raise
        if error.headers.get("Content-Range") != f"bytes */{have}":
            partial.unlink()
            raise http.client.HTTPException("the file there is another than the one begun") from None
        return
    with response:
        resumed = response.status == 206
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            partial.unlink()
            raise http.client.HTTPException("the server sent another part than was asked for")
        done = have if resumed else 0  # a server that ignores Range sends everything again
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        bar = tqdm(desc=url.split("/")[2], total=total, initial=done, unit="B", unit_scale=True, disable=None)
        with bar, open(partial, "ab" if resumed else "wb") as file:
            while block := response.read(CHUNK):
                file.write(block)
                bar.update(len(block))
                done += len(block)
    if total is not None and done < total:
        raise ConnectionError(f"the transfer broke off after {done} of {total} bytes")


def read_files(source: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the wanted regular files in a folder, a zip or a tar archive.

    Links, devices and files of more than LARGEST bytes are left out.

    Raises:
        FetchError: no such source, not an archive, a damaged one, or one with a name that points outside.
    """
    if not source.is_dir() and not source.is_file():
        raise FetchError(f"{source}: no such file or folder")
    try:
        if source.is_dir():
            yield from _read_folder(source, wanted)
        elif zipfile.is_zipfile(source):
            yield from _read_zip(source, wanted)
        elif tarfile.is_tarfile(source):
            yield from _read_tar(source, wanted)
        else:
            raise FetchError(f"{source}: neither a folder nor a zip or tar archive")
    except FetchError:
        raise
    except Exception as error:  # decoders report damage by exceptions of every kind
        raise FetchError(f"{source}: cannot be read ({' '.join(str(error).split()) or type(error).__name__})") from None


def _read_folder(source: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        if wanted(name) and path.is_file() and path.stat().st_size <= LARGEST:
            yield name, path.read_bytes()


def _read_zip(source: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(source) as archive:
        for info in archive.infolist():
            _refuse_outside(info.filename, source)
            is_link = stat.S_ISLNK(info.external_attr >> 16)
            if wanted(info.filename) and not info.is_dir() and not is_link and info.file_size <= LARGEST:
                yield info.filename, archive.read(info)


def _read_tar(source: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(source) as archive:
        for info in archive:
            _refuse_outside(info.name, source)
            if wanted(info.name) and info.isreg() and 0 <= info.size <= LARGEST:
                yield info.name, archive.extractfile(info).read()


def _refuse_outside(name: str, source: Path) -> None:
    """No honest archive holds such a name, so the whole of it is refused."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise FetchError(f"{source}: refused, it holds the name {name!r}, which points outside")
