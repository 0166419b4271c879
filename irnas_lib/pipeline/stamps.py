"""Stamps of executed notebooks: where each came from, and what makes one unfit for readers.

A stamp is the notebook's metadata `irnas`: source (its file name), profile, job, parameters, commit, versions, seconds.
"""

import os
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from irnas_lib.files import ROOT, atomically, commit, data_folder, runs_folder

PACKAGES = ("torch", "torchvision", "numpy", "numba", "scikit-image", "jupytext", "papermill")
# Not preceded by a letter, so that the path of a web address is none of ours.
MACHINE_PATH = re.compile(
    r"(?<![\w.:/-])/(?:home|root|Users|tmp|private|var|mnt|srv|scratch|work|workspace)/[^\s'\",:;)<]*"
    r"|\b[A-Za-z]:\\+Users\\[^\s'\",;)<]*")
CELL_FILE = re.compile(r"/\S*ipykernel_\d+/\d+\.py")


def make(source: Path, profile: str, job: str, parameters: dict) -> dict:
    """The stamp, but for its seconds, of a notebook that is about to run: what is edited meanwhile has not run."""
    return {
        "source": source.name, "profile": profile, "job": job, "parameters": parameters, "commit": commit(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def without_machine_paths(notebook: NotebookNode) -> NotebookNode:
    """The notebook with known folders in its outputs relative: project, data, Python, home, cell files."""
    known = {str(ROOT): ".", str(runs_folder()): "runs", os.path.realpath(data_folder()): "data", sys.prefix: ".venv",
             os.path.expanduser("~"): "~"}
    known.pop("/", None)  # a container's home may be the root, which stands in every fraction and every tag
    folders = sorted(known.items(), key=lambda pair: -len(pair[0]))

    def relative(text: str) -> str:
        text = CELL_FILE.sub("<cell>", text)
        for folder, name in folders:
            text = re.sub(rf"(?<![\w.]){re.escape(folder)}(?![\w.-])", name, text)
        return text

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [NotebookNode(_texts(output, relative)) for output in cell.outputs]
    return notebook


def problems(executed: Path, source: Path) -> list[str]:
    """What makes an executed notebook unfit to stand beside its source; empty if nothing does.

    Rejected: no stamp, code that is not the source's, prose that is not (`synchronise` mends that), smoke scale, a cell
    that failed or never ran, a path of somebody's machine.
    """
    if not executed.exists():
        return [f"{executed.name}: has not been executed"]
    try:
        notebook = nbformat.read(executed, as_version=4)
    except (ValueError, nbformat.ValidationError) as error:
        return [f"{executed.name}: is not a notebook ({str(error).splitlines()[0]})"]
    stamp = notebook.metadata.get("irnas")
    if not stamp:
        return [f"{executed.name}: carries no stamp of the batch"]
    found = []
    wanted = jupytext.read(source)
    if stamp.get("source") != source.name or code(notebook) != code(wanted):
        found.append(f"{executed.name}: is stale, the code of {source.name} has changed since it ran")
    elif _cells(notebook) != _cells(wanted):
        found.append(f"{executed.name}: its prose is not that of {source.name}; "
                     "python -m irnas_lib.pipeline.batch sync copies it")
    if stamp.get("profile") == "smoke":
        found.append(f"{executed.name}: ran at smoke scale, which is no result")
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "code" and any(output.output_type == "error" for output in cell.outputs):
            found.append(f"{executed.name}: cell {number} failed")
        elif cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None:
            found.append(f"{executed.name}: cell {number} never ran")
    if leaks := machine_paths(notebook):
        found.append(f"{executed.name}: names a path of a machine: {leaks[0]}")
    return found


def machine_paths(notebook: NotebookNode) -> list[str]:
    """Absolute paths of somebody's machine in the sources, outputs and metadata, pictures left out."""
    found: list[str] = []

    def look(text: str) -> str:
        found.extend(MACHINE_PATH.findall(text))
        if str(ROOT) in text:
            found.append(str(ROOT))
        return text

    _texts(notebook, look)
    return found


def synchronise(executed: Path, source: Path) -> bool:
    """Gives an executed notebook the prose of its source, and what the source says of its pictures (`alt`), where their
    code is the same; outputs stay. Whether it had another before."""
    notebook, wanted = nbformat.read(executed, as_version=4), jupytext.read(source)
    if code(notebook) != code(wanted) or _cells(notebook) == _cells(wanted):
        return False
    injected = [cell for cell in notebook.cells if _injected(cell)]
    ran, cells = iter(cell for cell in notebook.cells if cell.cell_type == "code" and cell not in injected), []
    for cell in wanted.cells:
        cells.append(NotebookNode(next(ran), metadata=cell.metadata) if cell.cell_type == "code" else cell)
        if "parameters" in cell.metadata.get("tags", []):
            cells += injected
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    notebook.cells = cells
    with atomically(executed) as partial:
        nbformat.write(notebook, partial)
    return True


def code(notebook: NotebookNode) -> list[str]:
    """The sources of the code cells, the parameters that the batch has put in left out."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code" and not _injected(cell)]


def _injected(cell: NotebookNode) -> bool:
    return "injected-parameters" in cell.metadata.get("tags", [])


def _cells(notebook: NotebookNode) -> list[tuple[str, str, str | None]]:
    return [(cell.cell_type, cell.source, cell.metadata.get("alt")) for cell in notebook.cells if not _injected(cell)]


def _texts(value, change: Callable[[str], str]):
    """`value` with every text in it changed, but for base64 pictures."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_texts(item, change) for item in value]
    if isinstance(value, dict):
        return {key: item if key in ("image/png", "image/jpeg") else _texts(item, change)
                for key, item in value.items()}
    return value
