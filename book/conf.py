"""The web book: what Sphinx makes of the executed pages, the documents and the docstrings. `make book` runs it."""

import importlib.util
import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
repository = citation.get("repository-code", "")  # an address there gives every page its launch links

project, author, release = "IR-NAS, rebuilt", citation["authors"][0]["name"], citation["version"]
copyright = author
root_doc = "book/index"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.viewcode",
              "sphinx_copybutton"]
include_patterns = ["book/**.md", "book/api/*.rst", "notebooks/*.ipynb", "figures/table*.md", "*.md"]
exclude_patterns = [".*", "build", "runs", "data"]

# ---- the pages, as they were executed ----
nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show, nb_code_prompt_hide = "Show the code", "Hide the code"
nb_render_markdown_format = "myst"  # the tables among the outputs, too
myst_enable_extensions = ["deflist", "dollarmath", "substitution"]
myst_heading_anchors = 3

# ---- the library, from its docstrings ----
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": True, "exclude-members": "set"}  # Artist.set
default_role = "literal"  # docstrings write names as `name`
python_maximum_signature_line_length = 100
templates_path = [str(ROOT / "book/templates")]

# ---- how it looks ----
html_theme = "sphinx_book_theme"
html_title = project
mathjax = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static/mathjax/tex-svg.js"
html_static_path = ["static", str(mathjax)]  # one file, fonts and all
mathjax_path = mathjax.name
html_css_files = ["book.css"]
html_extra_path = ["extra"]
html_copy_source = False
html_theme_options = {
    "show_toc_level": 2,
    "navbar_persistent": [],
    "use_download_button": False,
    **({"repository_url": repository, "use_repository_button": True,
        "launch_buttons": {"binderhub_url": "https://mybinder.org", "colab_url": "https://colab.research.google.com"}}
       if repository else {}),
}


def bibtex(kind, key, entry, **more):
    """A citation of CITATION.cff as BibTeX."""
    names = [author.get("name") or f"{author['family-names']}, {author['given-names']}" for author in entry["authors"]]
    fields = {"title": f"{{{entry['title']}}}", "author": " and ".join(names), **more}
    return f"@{kind}{{{key},\n" + "".join(f"  {name} = {{{text}}},\n" for name, text in fields.items() if text) + "}"


(paper,) = citation["references"]
(eprint,) = [one["value"].removeprefix("arXiv:") for one in paper["identifiers"]]
myst_substitutions = {
    "bibtex": "\n".join([
        "```bibtex",
        bibtex("software", "irnas_rebuilt", citation, version=citation["version"], license=citation["license"],
               url=repository),
        "",
        bibtex("article", "zhang2019irnas", paper, year=paper["year"], journal=f"arXiv preprint arXiv:{eprint}",
               url=paper["url"]),
        "```"]),
    "launch": repository and f"""\
The rocket at the top of a page opens it on Binder or in Colab. On Binder everything is there. Colab opens the page
alone: run this in a new first cell. Neither has been tried by us.

```python
!git clone --depth 1 {repository} irnas
%cd irnas/notebooks
import sys; sys.path.append("..")
```""",
}


def anchor(link):
    """A link to a heading as JupyterLab has it, in the spelling of MyST."""
    return link[1] + re.sub(r"[^\w-]", "", link[2].lower())


def imports(cell):
    """Whether a cell begins with imports."""
    return cell["cell_type"] == "code" and re.match(r"\s*(import|from) \w", "".join(cell["source"])) is not None


def adapt(app, docname, source):
    """What a page says in its own way, in MyST-NB's: the description of a picture (`alt`), links to headings. Imports
    and the parameters of the run are folded, parameters that the run has replaced are left out."""
    if docname.startswith("notebooks/"):
        page = json.loads(re.sub(r"(\.ipynb#)([^)\\\"]+)", anchor, source[0]))
        tags = [cell["metadata"].setdefault("tags", []) for cell in page["cells"]]
        replaced = any("injected-parameters" in found for found in tags)
        for cell, found in zip(page["cells"], tags):
            if "parameters" in found and replaced:
                found.append("remove-cell")
            elif {"parameters", "injected-parameters"} & {*found} or imports(cell):
                found.append("hide-input")
            if alt := cell["metadata"].get("alt"):
                cell["metadata"]["mystnb"] = {"image": {"alt": alt}}
        source[0] = json.dumps(page)


def setup(app):
    app.connect("source-read", adapt)
