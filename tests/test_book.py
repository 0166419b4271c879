"""The web book, as `make book` builds it: whole, searchable, with its equations, and without a network."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from irnas_lib.files import ROOT

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("myst_nb"), reason="the extra `book` is not installed")
PAGES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
PATIENCE = 60


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The folder of the book; a warning fails the build."""
    folder = tmp_path_factory.mktemp("book")
    made = subprocess.run(["make", "-s", "-o", "install", "book", f"PY={sys.executable}", f"BOOK={folder / 'html'}"],
                          cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-3000:]
    return folder / "html"


@pytest.fixture(scope="module")
def documents(book):
    """Every page of the book: its path from the book's folder, and its content."""
    return {path.relative_to(book).as_posix(): BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
            for path in sorted(book.rglob("*.html")) if "_static" not in path.parts}  # there: the theme's own


def test_every_page_and_every_module_is_in_it_in_reading_order(documents):
    linked = [link["href"] for link in documents["book/index.html"].select("nav.bd-links a.internal[href]")]
    assert [f"../notebooks/{name}.html" for name in PAGES] == [href for href in linked if "/notebooks/" in href]
    modules = {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
               for path in (ROOT / "irnas_lib").rglob("*.py") if path.stem != "__main__"}
    assert {f"book/api/{name}.html" for name in modules - {"irnas_lib"}} <= documents.keys()


def test_no_internal_link_is_broken(book, documents):
    anchors = {name: {tag["id"] for tag in page.select("[id]")} for name, page in documents.items()}
    broken = []
    for name, page in documents.items():
        for tag, attribute in (("a", "href"), ("img", "src"), ("link", "href"), ("script", "src")):
            for target in (urlsplit(element[attribute]) for element in page.select(f"{tag}[{attribute}]")):
                if target.scheme or target.netloc:
                    assert tag == "a", f"{name} takes {target.geturl()} from outside"
                    continue
                file = (book / Path(name).parent / unquote(target.path)).resolve() if target.path else book / name
                found = file.is_file() and (not target.fragment or file.suffix != ".html" or
                        unquote(target.fragment) in anchors[file.relative_to(book.resolve()).as_posix()])
                broken += [] if found else [f"{name}: {target.geturl()}"]
    assert not broken


def test_pictures_keep_their_descriptions(documents):
    for name in PAGES:
        alts = [image.get("alt", "") for image in documents[f"notebooks/{name}.html"].select(".cell_output img")]
        assert all(len(alt) > 20 and not alt.endswith(".png") for alt in alts), name


def test_imports_and_parameters_are_folded_and_what_a_run_replaced_is_left_out(documents):
    for name in PAGES:
        shown = [cell for cell in documents[f"notebooks/{name}.html"].select("div.cell")]
        folded = [cell for cell in shown if "tag_hide-input" in cell["class"]]
        assert sum(bool(re.search(r"^profile = ", cell.text.strip(), re.MULTILINE)) for cell in shown) <= 1, name
        assert not [cell for cell in shown if cell not in folded and re.match(r"import |from ", cell.text.strip())]


def test_tables_and_equations_are_no_plain_text(documents):
    for name in (f"notebooks/{name}" for name in PAGES):
        code = ("pre", "code")
        text = " ".join(text for text in documents[f"{name}.html"].select_one("article").find_all(string=True)
                        if not text.find_parent(code))
        assert "|--" not in text and "| :-" not in text and "|:-" not in text and "$$" not in text, name


def test_the_citations_are_those_of_the_citation_file(documents):
    citation = " ".join(documents["book/cite.html"].select_one(".highlight-bibtex").text.split())
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation.count("@") == 2 and citation.count("{") == citation.count("}")
    for entry in (cited, *cited["references"]):
        assert f"title = {{{{{entry['title']}}}}}," in citation
    assert "author = {Zhang, Haokui and Li, Ying and Chen, Hao and Shen, Chunhua}," in citation
    assert "year = {2019}" in citation


def test_it_is_searched_and_shows_equations_offline(book, browser):
    """From the folder, by file://, with nothing asked of any host."""
    browser.get_log("performance")
    browser.get((book / "index.html").as_uri())
    WebDriverWait(browser, PATIENCE).until(lambda _: browser.current_url.endswith("book/index.html"))

    browser.get((book / "search.html").as_uri() + "?q=Viterbi")
    found = WebDriverWait(browser, PATIENCE).until(
        lambda _: browser.find_elements(By.CSS_SELECTOR, "#search-results li a[href*='04_viterbi_decoding']"))
    assert found

    browser.get((book / "notebooks" / "02_search_space.html").as_uri())
    WebDriverWait(browser, PATIENCE).until(
        lambda _: len(browser.find_elements(By.CSS_SELECTOR, "mjx-container[display='true'] svg")) >= 6)
    assert not browser.find_elements(By.CSS_SELECTOR, "mjx-merror, [data-mml-node='merror']")
    assert "\\tag" not in browser.find_element(By.TAG_NAME, "article").text

    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    hosts = {urlsplit(event["params"]["request"]["url"])[:2] for event in asked
             if event["method"] == "Network.requestWillBeSent"}
    assert ("file", "") in hosts and not [host for scheme, host in hosts if scheme.startswith(("http", "ws"))]


@pytest.mark.parametrize("name", ["notebooks/06_table1_bsd500", "notebooks/12_protocols", "figures/table1",
                                  "book/api/irnas_lib.decode"])
def test_nothing_is_wider_than_a_telephone(name, book, browser):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True})
    try:
        browser.get((book / f"{name}.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
