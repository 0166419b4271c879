"""JupyterLab in Chromium: the shipped page 04 runs there to its end, and its interactive picture follows a slider."""

import base64
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time

import nbformat
import pytest
import torch
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from irnas_lib import decode
from irnas_lib.experiments import runs
from irnas_lib.figures import interactive, plots
from irnas_lib.pipeline import execution

NAME, PROFILE = "04_viterbi_decoding", "gpu"  # the shipped page's
PATIENCE = 120


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab, started as `make lab` does but with own settings and on a copy of the shipped page, its outputs taken
    away so that new ones can be told: (address, copy)."""
    folder = tmp_path_factory.mktemp("lab")
    notebooks = folder / "notebooks"
    shutil.copytree(execution.NOTEBOOKS / "exercises", notebooks / "exercises")
    shipped = nbformat.read(execution.NOTEBOOKS / f"{NAME}.ipynb", as_version=4)
    for cell in shipped.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(shipped, notebooks / f"{NAME}.ipynb")
    settings = folder / "config" / "lab" / "user-settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # Every cell on the page, also those that are scrolled away.
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "MPLBACKEND"))}
    jupyter = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
           "IPYTHONDIR": "ipython"}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", "--notebook-dir", notebooks, "--no-browser", "--allow-root"],
            env=kept | {name: str(folder / value) for name, value in jupyter.items()}, stdout=log, stderr=log)
    try:
        end = time.monotonic() + PATIENCE
        while not (found := list(folder.glob("runtime/jpserver-*.json"))):
            assert server.poll() is None and time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.2)
        running = json.loads(found[0].read_text())
        yield f"{running['url']}lab/tree/{NAME}.ipynb?token={running['token']}", notebooks / f"{NAME}.ipynb"
    finally:
        server.terminate()  # and its kernels with it
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


@pytest.fixture(scope="module")
def page(lab, browser):
    """Notebook 04 after Run All: its code cells by their source."""
    def all_of(selector):
        return browser.find_elements(By.CSS_SELECTOR, selector)

    def wait(condition):
        return WebDriverWait(browser, PATIENCE, ignored_exceptions=[StaleElementReferenceException]).until(
            lambda _: condition())

    def ended():
        errors = [element.text for element in all_of("[data-mime-type='application/vnd.jupyter.stderr']")
                  if "Traceback" in element.text]
        assert not errors, errors[0]
        return all(re.fullmatch(r"\[\d+\]:", prompt.text) for prompt in all_of(".jp-CodeCell .jp-InputPrompt"))

    browser.get(lab[0])
    wait(lambda: any("| Idle" in bar.text for bar in all_of("#jp-main-statusbar")))
    next(menu for menu in all_of("#jp-MainMenu .lm-MenuBar-item") if menu.text == "Run").click()
    wait(lambda: all_of("[data-command='runmenu:run-all']"))[0].click()
    wait(ended)
    return {cell.find_element(By.CSS_SELECTOR, ".cm-content").text: cell for cell in all_of(".jp-CodeCell")}


def picture(browser, cell) -> bytes:
    """The content of the one picture in a cell's output."""
    (image,) = cell.find_elements(By.CSS_SELECTOR, ".jp-OutputArea img")
    return bytes(browser.execute_async_script(
        "fetch(arguments[0].src).then(got => got.arrayBuffer()).then(all => arguments[1]([...new Uint8Array(all)]))",
        image))


def probability(beta, path) -> float:
    """A path's probability by the definition: at every cell a softmax over the moves that exist there."""
    product, level = 1.0, 0
    rows = iter(beta.tolist())
    for layer, to in enumerate(path):
        row = [next(rows) for _ in range(min(layer + 1, 3))][level]
        weights = {level + move: math.exp(logit) for move, logit in zip((-1, 0, 1), row) if 0 <= level + move <= 2}
        product, level = product * weights[to] / sum(weights.values()), to
    return product


@pytest.fixture(scope="module")
def beta():
    return torch.tensor(runs.find_search(PROFILE, "denoising", 0)["beta"])


def test_notebook_04_runs_to_its_end_and_shows_its_trellis(page, browser, beta):
    assert picture(browser, page["plots.draw_trellis(beta)"]) == plots.draw_trellis(beta)._repr_png_()


def test_the_interactive_picture_follows_a_slider(page, browser, beta):
    cell = page["interactive.path_explorer(beta)"]

    def shows(added):
        """Whether line and picture are those of beta with `added` to the first cell's move to the wider level."""
        moved = beta.clone()
        moved[0, 2] += added
        chances = {path: probability(moved, path) for path in decode.all_paths(4)}
        best, second = sorted(chances, key=chances.get, reverse=True)[:2]
        return (f"path {','.join(map(str, best))}: probability {chances[best]:.4f}," in cell.text
                and picture(browser, cell) == plots.draw_trellis(moved, best, {"second": second})._repr_png_())

    assert shows(0)
    cell.find_elements(By.CSS_SELECTOR, ".noUi-handle")[-1].send_keys(*[Keys.ARROW_RIGHT] * 9)
    WebDriverWait(browser, PATIENCE).until(lambda _: shows(0.9))
    assert cell.find_elements(By.CSS_SELECTOR, ".widget-readout")[-1].text == "+0.9"
    assert decode.viterbi_path(beta)[0][0] == 0 and "path 1," in cell.text


def test_the_page_saved_there_shows_the_trellis_to_whoever_has_no_widgets(page, lab, browser, beta):
    browser.find_element(By.CSS_SELECTOR, "[data-jp-item-name='save'] jp-button").click()
    WebDriverWait(browser, PATIENCE).until(lambda _: "jupyter.widget-view" in lab[1].read_text())
    (shown,) = [cell.outputs[0].data for cell in nbformat.read(lab[1], as_version=4).cells
                if cell.source == "interactive.path_explorer(beta)"]
    assert base64.b64decode(shown["image/png"]) == interactive.decoded(beta)[1]._repr_png_()
