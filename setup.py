"""Puts the shipped networks into a wheel, so that an installed package restores; the rest is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithNetworks(build_py):
    def run(self):
        super().run()
        if not self.editable_mode:
            for folder in ("results", "weights"):
                shutil.copytree(Path("checkpoints", folder), Path(self.build_lib, "irnas_lib/checkpoints", folder),
                                dirs_exist_ok=True)


setup(cmdclass={"build_py": WithNetworks})
