"""Runs the quick part of the tests at the oldest and at the newest versions that pyproject.toml allows, by hand:

    python tests/supported_versions.py oldest|newest [PYTHON ...]     (such as python3.12; else the one that runs it)

Each environment is new, takes gigabytes to download and to hold, and is removed again.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
QUICK = ("deform", "deform_triton", "depthwise", "dilated", "network", "supernet", "losses_metrics", "checkpoints",
         "pictures", "restore", "figures", "drawing")
SHOWN = ("torch", "torchvision", "numpy", "numba", "scipy", "pillow", "scikit-image", "matplotlib")


def requirements(which: str) -> list[str]:
    """What pyproject.toml declares, of the library, the notebooks and the tests: as it stands, for pip to take the
    newest, or pinned to the oldest."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = [Requirement(line) for line in project["dependencies"] + extras["notebooks"] + extras["test"]]
    if which == "newest":
        return [str(requirement) for requirement in declared]
    return [f"{requirement.name}=={bound.version}" for requirement in declared for bound in requirement.specifier
            if bound.operator == ">="]


def check(python: str, which: str, folder: Path) -> int:
    """Installs and tests; pytest's exit status."""
    began = time.monotonic()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, "-m", "venv", folder / "venv"], check=True, env=environment)
    python = folder / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements(which)],
                   check=True, env=environment)
    listed = json.loads(subprocess.run([python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
                                       check=True, capture_output=True, text=True, env=environment).stdout)
    versions = {package["name"].lower(): package["version"] for package in listed}
    release = subprocess.run([python, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"{release}: {', '.join(f'{name} {versions[name]}' for name in SHOWN)}; installed in "
          f"{time.monotonic() - began:.0f} s", flush=True)
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": str(folder / "numba")}
    return subprocess.run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                           *(f"tests/test_{name}.py" for name in QUICK)], cwd=ROOT, env=environment).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=("oldest", "newest"))
    parser.add_argument("pythons", metavar="PYTHON", nargs="*", default=[sys.executable])
    given = parser.parse_args()
    worst = 0
    for python in given.pythons:
        with tempfile.TemporaryDirectory() as folder:
            worst = max(worst, check(python, given.which, Path(folder)))
    return worst


if __name__ == "__main__":
    sys.exit(main())
