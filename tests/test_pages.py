"""The shipped pages, notebooks/*.ipynb: fit to be read, and each runs as it is, by Run All, where no data are."""

import ast
import os
import re
import shutil

import nbformat
import psutil
import pytest
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbformat import v4

from irnas_lib.files import ROOT

NOTEBOOKS = ROOT / "notebooks"
PAGES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
NEED_DATA = {"01_datasets", "03_search", "05_training", "05b_classical_methods", "05c_batch_norm",
             "12_protocols", "13_does_the_search_matter"}
SECONDS = 240  # of processor time: two minutes on two cores
WIDEST = 120  # characters of a printed line; a browser breaks longer ones inside words
PICTURES = ("image/png", "image/svg+xml")


# ---- fit to be read ----

def outputs(notebook):
    return [(number, cell, output) for number, cell in enumerate(notebook.cells)
            if cell.cell_type == "code" for output in cell.outputs]


def error_boxes(notebook):
    return [f"cell {i}: {output.text[:60]!r} on a red ground" for i, _, output in outputs(notebook)
            if output.get("name") == "stderr"]


def undescribed_pictures(notebook):
    return [f"cell {i}: a picture without `alt`" for i, cell, output in outputs(notebook)
            if set(PICTURES) & set(output.get("data", ())) and len(cell.metadata.get("alt", "")) < 20]


def containers(notebook):
    """Results and printed lines that are Python's own way to write a dict, list, set or tuple."""
    def is_one(text):
        try:
            return isinstance(ast.literal_eval(text), dict | list | set | tuple)
        except (ValueError, SyntaxError):
            return text.startswith("{'")
    shown = [(i, line) for i, _, output in outputs(notebook) if output.get("name") == "stdout"
             for line in output.text.splitlines()]
    shown += [(i, output.data["text/plain"]) for i, _, output in outputs(notebook)
              if output.output_type == "execute_result" and len(output.data) == 1]
    return [f"cell {i}: {text[:60]}" for i, text in shown if text[:1] in tuple("{[(") and is_one(text.strip())]


def broken_words(notebook):
    printed = [f"cell {i}: a line of {len(line)}: {line[:60]}" for i, _, output in outputs(notebook)
               if output.get("name") == "stdout" for line in output.text.splitlines() if len(line) > WIDEST]
    return printed + [f"cell {i}: ...{found}" for i, cell in enumerate(notebook.cells) if cell.cell_type == "markdown"
                      for found in re.findall(r".{0,20}\w-\n\w.{0,20}", cell.source)]


def broken_links(notebook):
    """Links to no file or heading of the project, misspelt arXiv numbers, and files and modules in code font that are
    not there."""
    found = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "markdown":
            continue
        for target in re.findall(r"\]\(([^)\s]+)\)", cell.source):
            if target.startswith("https://arxiv.org"):
                good = re.fullmatch(r"https://arxiv\.org/abs/\d{4}\.\d{4,5}(v\d)?", target)
            else:
                good = re.match(r"https?://[\w.-]+\.\w+(/|$)", target) or leads_to_a_page(target)
            found += [] if good else [f"cell {number}: link {target}"]
        for name in re.findall(r"`(\w+/[\w/]+\.(?:py|md|csv|json|ipynb))`", cell.source):
            found += [] if (ROOT / name).exists() or (NOTEBOOKS / name).exists() else [f"cell {number}: file {name}"]
        for name in re.findall(r"`python -m ((?:irnas_lib|data_scripts)[\w.]*)", cell.source):
            module = ROOT / name.replace(".", "/")
            found += [] if module.is_dir() or module.with_suffix(".py").exists() else [f"cell {number}: module {name}"]
    return found


def leads_to_a_page(target):
    file, _, anchor = target.partition("#")
    if not anchor or not (NOTEBOOKS / file).is_file():
        return (NOTEBOOKS / file).is_file()
    if file.endswith(".md"):  # as GitHub names its anchors
        headings = re.findall(r"(?m)^#+ (.*)$", (NOTEBOOKS / file).read_text(encoding="utf-8").lower())
    else:
        headings = re.findall(r"(?m)^#+ (.*)$", "\n".join(
            cell.source for cell in nbformat.read(NOTEBOOKS / file, as_version=4).cells
            if cell.cell_type == "markdown"))
    return anchor in [heading.strip().replace(" ", "-") for heading in headings]


def missing_parts(notebook):
    """What a page of the course says at its beginning and at its end, if it does not. The start page, the appendix and
    the page for lecturers begin otherwise."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    if not re.match(r"# [1-9]\d*[a-z]?\. ", text):
        return []
    return [part for part in ("What you will learn", "Why it matters", "What it needs", "What to take away")
            if not re.search(rf"\*\*{part}\.\*\*|## {part}\n", text)]


def overwritten_names(notebook):
    """Names of an earlier cell that a loop at a cell's top level binds anew and that a later cell only reads: the
    reader takes them for the earlier ones. And names of imports that are bound anew."""
    bound, looped, imported, found = set(), set(), set(), []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        nodes = [node for statement in ast.parse(cell.source).body if not isinstance(statement, ast.FunctionDef)
                 for node in ast.walk(statement)]
        names = [node for node in nodes if isinstance(node, ast.Name)]
        stored = {name.id for name in names if isinstance(name.ctx, ast.Store)}
        targets = {name.id for node in nodes if isinstance(node, ast.For) for name in ast.walk(node.target)
                   if isinstance(name, ast.Name)}
        read = {name.id for name in names if isinstance(name.ctx, ast.Load)} - stored
        found += [f"cell {number}: {name}" for name in sorted(read & looped | stored & imported)]
        imported |= {alias.asname or alias.name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)
                     for alias in node.names}
        looped = (looped - stored) | (targets & bound)
        bound |= stored - targets
    return found


@pytest.fixture(scope="module")
def pages():
    return {name: nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4) for name in PAGES}


@pytest.mark.parametrize("problems", [error_boxes, undescribed_pictures, containers, broken_words, broken_links,
                                      missing_parts, overwritten_names])
def test_the_pages_have_none_of(problems, pages):
    assert not [f"{name}, {problem}" for name in PAGES for problem in problems(pages[name])]


def test_page_3_shows_the_search_that_page_4_decodes(pages):
    printed = ["".join(output.text for _, _, output in outputs(pages[name]) if output.get("name") == "stdout")
               for name in ("03_search", "04_viterbi_decoding")]
    cells = [re.search(r"found:\n((?:  n\d = .+\n)+)", text)[1] for text in printed]
    assert cells[0] == cells[1]
    (path,) = re.findall(r"(?m)^path: ([\d,]+) ", printed[0])
    assert re.search(rf"(?m)^ *plain +{path} ", printed[1])


PICTURE = v4.new_output("display_data", data={"image/png": "", "text/plain": ""})


@pytest.mark.parametrize("problems, cell", [
    (error_boxes, v4.new_code_cell(outputs=[v4.new_output("stream", name="stderr", text="\r")])),
    (undescribed_pictures, v4.new_code_cell(outputs=[PICTURE])),
    (undescribed_pictures, v4.new_code_cell(outputs=[PICTURE], metadata={"alt": "a plot"})),
    (containers, v4.new_code_cell(outputs=[v4.new_output("stream", name="stdout", text="a\n{'torch': '2'} CPU\n")])),
    (containers, v4.new_code_cell(outputs=[v4.new_output("execute_result", data={"text/plain": "[1, 2]"})])),
    (broken_words, v4.new_code_cell(outputs=[v4.new_output("stream", name="stdout", text="word " * 25)])),
    (broken_words, v4.new_markdown_cell("a network for de-\nraining")),
    (broken_links, v4.new_markdown_cell("[notebook 99](99_nothing.ipynb)")),
    (broken_links, v4.new_markdown_cell("[notebook 2](02_search_space.ipynb#no-such-heading)")),
    (broken_links, v4.new_markdown_cell("[the paper](https://arxiv.org/abs/190908228)")),
    (broken_links, v4.new_markdown_cell("see `exercises/eq99.py`")),
    (broken_links, v4.new_markdown_cell("run `python -m data_scripts.nothing`")),
    (broken_links, v4.new_markdown_cell("[a table](../figures/table9.md)")),
])
def test_a_fault_is_found(problems, cell):
    sound = v4.new_markdown_cell("[here](02_search_space.ipynb#Six-operations), `exercises/eq2.py`, well-known")
    assert problems(v4.new_notebook(cells=[sound])) == []
    assert len(problems(v4.new_notebook(cells=[sound, cell]))) == 1


def test_a_name_that_a_loop_overwrites_is_found():
    def found(*sources):
        return overwritten_names(v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources]))
    assert found("record = 1", "for record in range(3):\n    print(record)", "print(record)") == ["cell 2: record"]
    assert found("record = 1", "print([record for record in range(3)])", "print(record)") == []
    assert found("record = 1", "for record in range(3):\n    pass", "record = 2", "print(record)") == []
    assert found("from irnas_lib import data", "data = 1") == ["cell 1: data"]
    assert found("def f():\n    for record in ():\n        pass", "record = 1", "print(record)") == []


def test_a_page_without_its_parts_is_found():
    parts = "**What you will learn.** a **Why it matters.** b **What it needs.** c"
    page = v4.new_notebook(cells=[v4.new_markdown_cell(f"# 7b. A page\n{parts}")])
    assert missing_parts(page) == ["What to take away"]
    page.cells.append(v4.new_markdown_cell("## What to take away\nd"))
    assert missing_parts(page) == []
    assert missing_parts(v4.new_notebook(cells=[v4.new_markdown_cell("# 0. Start here")])) == []


@pytest.mark.parametrize("page, numbers", [("02_search_space", "123456"), ("05_training", "78")])
def test_the_equations_of_the_paper_stand_where_their_code_stands(page, numbers, pages):
    prose = "\n".join(cell.source for cell in pages[page].cells if cell.cell_type == "markdown")
    assert re.findall(r"\\tag\{(\d)\}", prose) == list(numbers)
    assert prose.count("$$") % 2 == 0 and "https://arxiv.org/abs/1909.08228" in prose


# ---- Run All, where no data are ----

class OrdinaryKernel(KernelManager):
    """Of the running interpreter, as JupyterLab starts it; not the batch's, which insists on the data."""

    @property
    def kernel_spec(self):
        return KernelSpec(resource_dir="", **get_kernel_dict(["--log-level=CRITICAL"]))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder with what a clean clone has that pages need: no data, no runs."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("irnas_lib", "notebooks"):
        shutil.copytree(ROOT / name, folder / name)  # with what numba has compiled
    for name in ("checkpoints", "profiles.toml"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture(scope="module")
def kernel(clone):
    """One for all pages, emptied between them: to start it and to import torch takes longer than most pages."""
    manager = OrdinaryKernel()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("IRNAS_", "MPLBACKEND"))}
    manager.start_kernel(cwd=clone / "notebooks", env=kept | {"PYTHONPATH": str(clone)})
    yield manager
    manager.shutdown_kernel(now=True)


def run_all(notebook, kernel):
    """Seconds of processor time that the cells took; an error in one of them is raised."""
    def processor():
        return sum(psutil.Process(kernel.provisioner.pid).cpu_times()[:2])
    NotebookClient(v4.new_notebook(cells=[v4.new_code_cell("%reset -f")]), km=kernel).execute()
    before = processor()
    NotebookClient(notebook, km=kernel, timeout=600).execute()
    return processor() - before


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_as_it_is_without_data(name, clone, kernel):
    notebook = nbformat.read(clone / "notebooks" / f"{name}.ipynb", as_version=4)
    seconds = run_all(notebook, kernel)
    print(f"{name}: {seconds:.0f} s of processor time")  # pytest -s
    assert seconds < SECONDS
    shown = [output for _, _, output in outputs(notebook)]
    assert any({*PICTURES, "text/markdown"} & set(output.get("data", ())) for output in shown)
    printed = " ".join(output.text for output in shown if output.get("name") == "stdout")
    assert ("is not on this machine. Results on this page are the stored ones" in printed) == (name in NEED_DATA)
    assert not [*clone.glob("runs/*/checkpoints/**/*.json")], "something was recorded from embedded pictures"
