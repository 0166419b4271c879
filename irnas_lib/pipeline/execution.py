"""One job: a notebook's source, executed with the job's parameters.

The source of a notebook is notebooks/NAME.py (jupytext's percent format). Running a job turns it into a
notebook, gives it the job's parameters and executes it through papermill. The executed notebook lands in
runs/PROFILE/notebooks/JOB.ipynb, also when a cell fails, with its stamp (irnas_lib/pipeline/stamps.py).
"""

import ast
import contextlib
import glob
import itertools
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import filelock
import jupytext
import nbformat
import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets import Float

from irnas_lib.files import ROOT, atomically
from irnas_lib.pipeline import profiles, stamps

NOTEBOOKS = ROOT / "notebooks"
GPUS = "/dev/nvidia[0-9]*"  # of Linux; where there are others, every job takes the first one
PROGRESS = re.compile(r"\d+%\|.*\| \d+/\d+ \[")  # as tqdm draws it
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


class BatchError(RuntimeError):
    """A notebook that cannot run, or whose run failed; the message is one line."""


class ThisPython(AsyncKernelManager):
    """A kernel of the running interpreter, whatever kernels the user has installed, that lets no embedded pictures
    stand in for a data set. When it is to end, it has time for the step in hand and to save its state."""

    shutdown_wait_time = Float(120.0)  # seconds, after half of which it is no longer asked

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(resource_dir="", env={"IRNAS_DATA_REQUIRED": "1"},
                          **get_kernel_dict(["--log-level=CRITICAL"]))


@contextlib.contextmanager
def alone(file: Path, what: str, wait: bool = False) -> Iterator[IO]:
    """Holds the lock of a file, which no kill leaves behind: it ends with this process and those that are given the
    open file. Where another holds it: waits, or raises BatchError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        if not filelock.lock_descriptor(lock.fileno(), blocking=wait):
            raise BatchError(f"{what} is already running here")
        yield lock


def gpus() -> list[str]:
    """The GPUs of this machine that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [str(number) for number in range(len(glob.glob(GPUS)))] if named is None else named.split(",")


@contextlib.contextmanager
def one_gpu(folder: Path) -> Iterator[None]:
    """Within it CUDA_VISIBLE_DEVICES, which a kernel inherits, names one of several GPUs: one that no other job has
    whose locks lie in `folder`, else one that the fewest have."""
    found, usual = gpus(), os.environ.get("CUDA_VISIBLE_DEVICES")
    if len(found) < 2:
        yield
        return
    with contextlib.ExitStack() as held:
        for sharing, gpu in ((sharing, gpu) for sharing in itertools.count() for gpu in found):
            with contextlib.suppress(BatchError):
                held.enter_context(alone(folder / f".gpu-{gpu.replace('/', '-')}-{sharing}.lock", "a job"))
                break
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        try:
            yield
        finally:
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)
            if usual is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = usual


def parameters_of(notebook: NotebookNode, name: str) -> dict:
    """Names and defaults declared in the one cell tagged `parameters`, which holds plain scalars only.

    Raises BatchError where there is no such cell, or more than one, or something else stands in it.
    """
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise BatchError(f"{name}: has {len(cells)} cells tagged `parameters` instead of one")
    try:
        statements = ast.parse(cells[0].source).body
    except SyntaxError as error:
        raise BatchError(f"{name}: the parameters cell is no Python: {error.msg}, line {error.lineno}") from None
    found = {}
    for statement in statements:
        try:
            (target,) = statement.targets
            found[target.id] = ast.literal_eval(statement.value)
        except (AttributeError, ValueError):
            found[ast.unparse(statement)] = statement
    for key, value in found.items():
        if not isinstance(value, str | int | float):
            raise BatchError(f"{name}: the parameters cell holds more than plain scalars: {key}")
    return found


def prepare(job: profiles.Job, notebooks: Path = NOTEBOOKS, systems: bool = True) -> NotebookNode:
    """The notebook of a job, not yet run. BatchError if it is missing, or a parameter is none that it declares, of
    another type than its default or out of range. systems: their names are checked too, which imports torch."""
    source = notebooks / f"{job.notebook}.py"
    if not source.is_file():
        raise BatchError(f"job {job.name}: there is no notebook {source.name}")
    notebook = jupytext.read(source)
    declared = parameters_of(notebook, source.name)
    if unknown := [key for key in job.parameters if key not in declared]:
        raise BatchError(f"job {job.name}: {source.name} declares no parameter {', '.join(unknown)}; "
                         f"it has {', '.join(declared)}")
    for key, value in job.parameters.items():
        if (systems or key != "system") and (wrong := profiles.misfit(key, value, declared[key])):
            raise BatchError(f"job {job.name}: {wrong}")
    notebook.metadata.setdefault("kernelspec", KERNEL)
    return notebook


def run(job: profiles.Job, folder: Path, notebooks: Path = NOTEBOOKS) -> Path:
    """Execute a job into folder/JOB.ipynb, on one GPU if there are any, and stamp it; its path is returned.

    Cells run in `notebooks` as their working directory. BatchError names notebook, cell and error if one
    fails; what had run by then stays in the file. On a terminal the cells' progress bars are shown.
    """
    notebook = prepare(job, notebooks, systems=False)  # the kernel, which imports torch anyway, refuses unknown ones
    with alone(folder / f".{job.name}.lock", f"job {job.name}"), one_gpu(folder.parent.parent):
        return _execute(notebook, job, folder, notebooks)


def _execute(notebook: NotebookNode, job: profiles.Job, folder: Path, notebooks: Path) -> Path:
    output = folder / f"{job.name}.ipynb"
    output.unlink(missing_ok=True)
    shown = os.path.relpath(output)
    stamp = stamps.make(notebooks / f"{job.notebook}.py", job.parameters.get("profile", ""), job.name, job.parameters)
    start = time.monotonic()
    try:
        papermill.execute_notebook(
            notebook, output, job.parameters, kernel_name="python3", language="python", cwd=notebooks,
            progress_bar=False, stderr_file=sys.stderr if sys.stderr.isatty() else None,
            kernel_manager_class=ThisPython, record_timing=False,
            coalesce_streams=True)  # of a progress bar only the last state stays
    except PapermillExecutionError as error:
        reason = f"{error.ename}: {error.evalue}".splitlines()[0]
        raise BatchError(f"{job.name} failed in cell [{error.exec_count}]: {reason} (see {shown})") from None
    except DeadKernelError:
        # Not by execution_count: whether the dead cell has one depends on how fast it died.
        count = sum(cell.cell_type == "code" and cell.metadata.papermill["start_time"] is not None
                    for cell in nbformat.read(output, as_version=4).cells)
        raise BatchError(f"{job.name} failed in cell [{count}]: kernel died (see {shown})") from None
    finally:
        if output.exists():
            _finish(output, stamp | {"seconds": round(time.monotonic() - start, 1)})
    return output


def _finish(output: Path, stamp: dict) -> None:
    """Replace papermill's own metadata, which names paths, by the stamp; leave out what is left of progress bars."""
    notebook = stamps.without_machine_paths(nbformat.read(output, as_version=4))
    notebook.metadata.pop("papermill", None)
    notebook.metadata["irnas"] = stamp
    for number, cell in enumerate(notebook.cells):
        cell.metadata.pop("papermill", None)
        if cell.cell_type == "code":
            cell.outputs = _without_progress(cell.outputs)
        cell.id = f"cell-{number}"  # random otherwise, and then no two runs are alike
    with atomically(output) as partial:
        nbformat.write(notebook, partial)


def _without_progress(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs but for the progress bars on stderr, finished or wiped out."""
    for output in outputs:
        if output.get("name") == "stderr":
            lines = re.split(r"[\r\n]+", output.text)
            output.text = "\n".join(line for line in lines if line.strip() and not PROGRESS.search(line))
    return [output for output in outputs if output.output_type != "stream" or output.text]
