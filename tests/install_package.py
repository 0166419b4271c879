"""Builds the wheel, installs it into an empty environment and restores a picture there, by hand:

    python tests/install_package.py [PYTHON ...]     (3.11 3.12 3.13, those that are there; by uv with --uv)

Without a PYTHON it takes the one that runs it, and what is installed beside that one, so that nothing is downloaded.
With some it downloads everything for each: gigabytes.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from skimage.data import camera
from skimage.util import random_noise

ROOT = Path(__file__).resolve().parent.parent


def build(folder: Path, *options: str) -> Path:
    """The wheel, made in `folder`; nothing of it is left in the project."""
    (folder / "build.cfg").write_text(f"[build]\nbuild_base = {folder}/build\n[egg_info]\negg_base = {folder}\n")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *options, "-w", folder, ROOT],
                   check=True, env={**os.environ, "DIST_EXTRA_CONFIG": str(folder / "build.cfg")})
    (wheel,) = folder.glob("*.whl")
    return wheel


def size(folder: Path) -> float:
    """In GB."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9


def check(python: str, wheel: Path, folder: Path, borrowed: bool, uv: bool) -> str:
    """Installs and restores; what it took."""
    began = time.monotonic()
    environment = folder / f"environment-{Path(python).name}"
    subprocess.run(["uv", "venv", "--quiet", "--python", python, environment] if uv
                   else [python, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    if borrowed:
        beside = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                                capture_output=True, text=True, check=True).stdout.strip()
        (packages,) = environment.glob("lib/python*/site-packages")
        (packages / "borrowed.pth").write_text(beside + "\n")
    install = ["uv", "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    subprocess.run([*install, "--quiet", *(["--no-deps"] if borrowed else ["-c", ROOT / "constraints.txt"]), wheel],
                   check=True)
    installed = time.monotonic() - began
    noisy, restored = folder / "noisy.png", folder / "restored.png"
    Image.fromarray((random_noise(camera()[:128, :128], var=(30 / 255) ** 2, rng=0) * 255).astype("uint8")).save(noisy)
    command = environment / "bin" / "irnas-restore"
    subprocess.run([command, noisy, restored], check=True, cwd=folder)
    assert Image.open(restored).size == (128, 128)
    restored.unlink()
    batch = [environment / "bin" / "irnas", "all", "smoke"]
    refused = subprocess.run(batch, cwd=folder, capture_output=True, text=True)
    assert refused.returncode == 1 and refused.stderr.startswith("irnas needs the project's folder"), refused
    return (f"{python}: installed in {installed:.0f} s, {size(environment):.1f} GB"
            + (" beside what is borrowed" if borrowed else "") + ", restores")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pythons", metavar="PYTHON", nargs="*", help="such as 3.12")
    parser.add_argument("--uv", action="store_true", help="install by uv instead of pip")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        wheel = build(folder)
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.0f} MB", flush=True)
        for python in [f"python{version}" for version in given.pythons] or [sys.executable]:
            if shutil.which(python) is None:
                print(f"{python}: not here, not tried")
            else:
                print(check(python, wheel, folder, not given.pythons, given.uv), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
