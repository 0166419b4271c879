# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # For lecturers
#
# The pages make a course on neural architecture search and on how a paper's numbers are checked. Here are two ways to
# teach it, in four hours and in ten: which page goes into which slot, what to run in front of the class, which figure
# goes on the slide, and which exercises fit. Students need Python, PyTorch and some idea of a convolutional network.
# They need no data and no GPU: Run All works on each page in a clean copy of the project, in at most two minutes on two
# cores.

# %% tags=["hide-input"]
import re
from collections import Counter

import jupytext
import nbformat
from IPython.display import Markdown, display

from irnas_lib.files import ROOT

NOTEBOOKS, FIGURES = ROOT / "notebooks", ROOT / "figures"
print(len(list(NOTEBOOKS.glob("*.ipynb"))), "pages, this one included")

# %% [markdown]
# The parameters, which every page has. This one computes nothing that depends on them.

# %% tags=["parameters"]
profile = "smoke"
data = ""


# %% [markdown]
# ## How long a page runs
#
# The seconds are those that the batch recorded when it made the pages that you see, with the data and on the machine
# that the first cell of each page names. The first run on a machine takes longer, since numba compiles the kernels. A
# page that only shows stored results takes as long in class. Page 12 is the exception: there it restored ten whole
# pictures under five protocols; without the data it restores embedded ones and ends within two minutes.

# %% tags=["hide-input"]
def title(page):
    """The heading of a page, as a link."""
    heading = next(line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("# # "))
    return f"[{heading[4:]}]({page.stem}.ipynb)"


def seconds(page):
    """What the batch recorded for the executed page."""
    return nbformat.read(page.with_suffix(".ipynb"), as_version=4).metadata["irnas"]["seconds"]


def running(page):
    return f"{seconds(page):.0f}\u00a0s" if seconds(page) < 120 else f"{seconds(page) / 60:.0f}\u00a0min"


pages = {page.stem: page for page in sorted(NOTEBOOKS.glob("*.py")) if not page.stem.startswith("L_")}
display(Markdown("\n".join(["| page | recorded |", "|:--|--:|",
                            *(f"| {title(page)} | {running(page)} |" for page in pages.values())])))


# %% [markdown]
# ## Four hours
#
# One afternoon: what such a search is, how its answer is read off, and what its evaluation is worth. Begin every slot
# with its question, and let the class answer before you run the cell.

# %% tags=["hide-input"]
def syllabus(slots):
    """A table of (minutes, page or empty, what to do, figure or empty)."""
    lines = ["| minutes | page | run | live | slide |", "|--:|:--|--:|:--|:--|"]
    for minutes, name, live, figure in slots:
        page = (title(pages[name]), running(pages[name])) if name else ("", "")
        shown = f"[{figure}](../figures/{figure})" if figure and (FIGURES / figure).is_file() else figure
        lines.append(f"| {minutes} | {page[0]} | {page[1]} | {live} | {shown} |")
    print(f"{sum(slot[0] for slot in slots)} minutes")
    return Markdown("\n".join(lines))


syllabus([
    (15, "00_start_here", "What is to be removed, and what is to be searched?", "figure3.png"),
    (60, "01b_search_from_scratch", "Build the edge and the cell; move the slider of the softmax; run the search "
     "without its warm-up and let the class say why it fails. Then exercise 1 in pairs.",
     "the trajectories of alpha, on the page"),
    (30, "02_search_space", "One cell, one supernet; count the architectures before the page does.", "figure1.svg"),
    (15, "", "A break.", ""),
    (35, "04_viterbi_decoding", "Viterbi by pencil on the board, then the page; move a beta until two paths change "
     "places.", "figure2.svg"),
    (25, "05_training", "The loss and the loop; the slider of lambda.", "figure6b_denoising.svg"),
    (35, "12_protocols", "Show the three scores of one network first, and ask which one is wrong. Exercise 3.",
     "predicted and measured lift, on the page"),
    (25, "13_does_the_search_matter", "Ask for an experiment that could show that the search is useless; then the "
     "page's.", "cells_denoising.png"),
])

# %% [markdown]
# ## Ten hours
#
# Five sessions of two hours. In each of the first four the last half hour is for exercises: those that check themselves
# in class, the written ones at home.

# %% tags=["hide-input"]
display(Markdown("**1. Pictures, noise, and restoring without learning**"), syllabus([
    (15, "00_start_here", "What the paper claims, and what was found.", "figure3.png"),
    (45, "01_datasets", "Noise, rain, a camera; why doing nothing gains 1.7 dB; the scenes that stand on both sides.",
     "the cover map of the tiles, on the page"),
    (30, "05b_classical_methods", "What patches of a picture have in common: how far one gets without training.",
     "the restored crops, on the page"),
    (30, "", "Exercises of both pages.", ""),
]))
display(Markdown("**2. A search from scratch**"), syllabus([
    (90, "01b_search_from_scratch", "All of it, written live: an edge, a cell, two problems one inside the other.",
     "the trajectories of alpha, on the page"),
    (30, "", "`second_order` checks itself; two lines of algebra first.", ""),
]))
display(Markdown("**3. The search of the paper**"), syllabus([
    (50, "02_search_space", "Operations, cells, widths; Eq. 1 to 6 beside their code.", "figure1.svg"),
    (40, "03_search", "The loop, what moved, and why alpha stayed flat.", "search-denoising-seed0-laptop-curves.png"),
    (30, "", "`eq2`, `count` and `collapse` check themselves.", ""),
]))
display(Markdown("**4. Decoding and training**"), syllabus([
    (50, "04_viterbi_decoding", "Viterbi by pencil; greedy against it; what an untouched beta prefers.", "figure2.svg"),
    (40, "05_training", "The loss, the loop, a restored picture.", "training-denoising-BSD500-sigma50-gpu.png"),
    (30, "", "`greedy` checks itself.", ""),
]))
display(Markdown("**5. What the numbers are worth**"), syllabus([
    (45, "12_protocols", "Three scores of one network; predict the lift; find the leak (`one_field`).",
     "predicted and measured lift, on the page"),
    (20, "06_table1_bsd500", "Which rows of Table 1 may be compared?", "psnr_against_cost.png"),
    (35, "13_does_the_search_matter", "Random cells, one cell from several seeds, and power.", "cells_denoising.png"),
    (20, "", "Discussion: which claims of the paper stand, on what evidence?", ""),
]))

# %% [markdown]
# The other pages are projects for two: the camera ([7](07_table2_sim1800.ipynb)), rain ([8](08_table3_rain800.ipynb)),
# changed cells ([9](09_table4_architecture_analysis.ipynb)), the loss ([10](10_tables_5_6_ablation.ipynb)), a recipe
# ([10b](10b_what_a_recipe_is_worth.ipynb)), time and memory ([11](11_efficiency.ipynb)), a search method for a table of
# cells ([14](14_searching_in_a_table.ipynb)), and one's own pictures ([15](15_your_own_pictures.ipynb)).
#
# ## Exercises by difficulty
#
# Easy ones take minutes and a pencil, medium ones need the page's code or an argument of a paragraph, hard ones an
# experiment or an afternoon. The written ones have their solution folded under them; those that check themselves are
# files in `notebooks/exercises/`, with solutions beside them.

# %% tags=["hide-input"]
WRITTEN = re.compile(r"^\*\*(\d+)\*\* \((easy|medium|hard)\)\. (.+?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
CHECKED = re.compile(r"`exercises/(\w+)\.py`\s\((easy|medium|hard)\)")


def exercises(page):
    """(difficulty, name, text) of each exercise of a page; of one that checks itself, the text is empty."""
    prose = "\n\n".join(cell.source for cell in jupytext.read(page).cells if cell.cell_type == "markdown")
    written = [(level, number, " ".join(text.split())) for number, level, text in WRITTEN.findall(prose)]
    return written + [(level, f"`{name}`", "checks itself") for name, level in CHECKED.findall(prose)]


found = [(level, page, name, text) for page in pages.values() for level, name, text in exercises(page)]
count = Counter(level for level, *_ in found)
print(", ".join(f"{count[level]} {level}" for level in ("easy", "medium", "hard")))
for level in ("easy", "medium", "hard"):
    rows = [f"| [{page.stem.split('_')[0].lstrip('0') or '0'}]({page.stem}.ipynb#Exercises) | {name} | {text} |"
            for difficulty, page, name, text in found if difficulty == level]
    display(Markdown("\n".join([f"**{level.capitalize()}**", "", "| page | | exercise |", "|--:|:--|:--|", *rows])))

# %% [markdown]
# ## What goes wrong in class
#
# - Sliders move only in JupyterLab, where a kernel runs. The web book and a page on a code host show the picture that
#   the slider starts from.
# - The installation takes minutes and gigabytes, for it brings PyTorch. Let it be done before the course.
# - No network of this project has been trained for even a hundredth of the paper's budget, and BM3D is ahead of all of
#   them in PSNR. Say so at the start: students who hear it in the last session think that they were misled.
# - Numbers that a page measures live, such as the times of page 11, differ from machine to machine.
