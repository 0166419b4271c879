"""Settings of all tests, and a browser for those that look at pages."""

import os
import shutil
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.pop("IRNAS_RUNS", None)
if os.environ.get("IRNAS_DATA"):  # some tests run in another folder
    os.environ["IRNAS_DATA"] = str(Path(os.environ["IRNAS_DATA"]).expanduser().resolve())
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):  # which share the cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, os.cpu_count() // workers)))

LONGEST = ("test_notebooks", "test_pages", "test_batch", "test_kills", "test_book", "test_browser")


def pytest_collection_modifyitems(items):
    """The longest files first, so that no process is left alone with one at the end."""
    items.sort(key=lambda item: (*LONGEST, item.path.stem).index(item.path.stem))


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window. Where it is promised, as in CI, its absence is a failure."""
    from selenium import webdriver
    chromium, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if not (chromium and driver):
        assert os.environ.get("IRNAS_BROWSER") != "required", "no Chromium, which IRNAS_BROWSER says is required"
        pytest.skip("no Chromium")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1300,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})  # what it asks the network for
    started = webdriver.Chrome(options, webdriver.ChromeService(driver))
    started.set_script_timeout(120)
    yield started
    started.quit()
