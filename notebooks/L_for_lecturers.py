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
# They need no data and no GPU: Run All works on each page in a clean copy of the project. How long each page takes to
# read and to run is on [page 0](00_start_here.ipynb#What-each-page-costs).
#
# After the course, students can
#
# - write a differentiable search over operations, and explain why it is two problems, one inside the other;
# - decode a cell and a path of widths from what a search has learned, and judge how decided it is;
# - compare two PSNRs only under one protocol, and predict what averaging overlapping tiles adds;
# - plan an experiment that could show that a search is useless: rivals, seeds, intervals, power.

# %% tags=["hide-input"]
import re
from collections import Counter

import jupytext
from IPython.display import Markdown, display

from irnas_lib.files import ROOT

NOTEBOOKS, FIGURES = ROOT / "notebooks", ROOT / "figures"
print(len(list(NOTEBOOKS.glob("*.ipynb"))), "pages, this one included")

# %% [markdown]
# The parameters, which every page has. This one computes nothing that depends on them.

# %% tags=["parameters"]
profile = "smoke"
data = ""


# %% tags=["hide-input"]
def title(page):
    """The heading of a page, as a link."""
    heading = next(line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("# # "))
    return f"[{heading[4:]}]({page.stem}.ipynb)"


def syllabus(heading, *slots):
    """A table of (minutes, page or empty, what to do, figure or empty)."""
    lines = [f"**{heading} ({sum(slot[0] for slot in slots)} minutes)**", "",
             "| minutes | page | live | slide |", "|--:|:--|:--|:--|"]
    for minutes, name, live, figure in slots:
        page = title(pages[name]) if name else ""
        shown = f"[{figure}](../figures/{figure})" if figure and (FIGURES / figure).is_file() else figure
        lines.append(f"| {minutes} | {page} | {live} | {shown} |")
    display(Markdown("\n".join(lines)))


pages = {page.stem: page for page in sorted(NOTEBOOKS.glob("*.py")) if not page.stem.startswith("L_")}

# %% [markdown]
# ## Four hours
#
# One afternoon: what such a search is, how its result is decoded, and what its evaluation is worth. Begin every slot
# with its question (below the table), and let the class answer before you run the cell. A picture "on the page" is
# saved from there: in JupyterLab with Shift and the right mouse button, in the web book with the right button alone.

# %% tags=["hide-input"]
syllabus(
    "One afternoon",
    (15, "00_start_here", "The picture, the two cells, the five findings. Skip the costs.", "before_after.png"),
    (45, "01b_search_from_scratch", "Build the edge and the cell; move the slider of the softmax; run the search "
     "without its warm-up. Then exercise 1 in pairs. Skip \"When skip connections take over\" and the widths.",
     "the trajectories of alpha, on the page"),
    (25, "02_search_space", "The operations, one cell, one supernet. Skip \"Eq. 5 against Eq. 6\" and \"The result\".",
     "figure1.svg"),
    (15, "", "A break.", ""),
    (25, "03_search", "Only \"What moved\" and \"Why alpha stays flat\".", "search-denoising-seed0-gpu-curves.png"),
    (35, "04_viterbi_decoding", "Viterbi by pencil on the board, then the page; move a beta until two paths change "
     "places. Skip \"The cell\".", "search-denoising-seed0-gpu-trellis.png"),
    (20, "05_training", "The loss and the loop; the slider of lambda. Skip \"Measuring\".",
     "training-denoising-BSD500-sigma50-gpu.png"),
    (35, "12_protocols", "The three scores of one network. Then exercise 3. Skip \"The other systems\" and \"What a "
     "file costs\".", "predicted and measured lift, on the page"),
    (25, "13_does_the_search_matter", "The experiment and its result.", "cells_denoising.png"),
)

# %% [markdown]
# The questions, five minutes each, and what to expect:
#
# - **Page 0.** What has to be chosen before such a network can be trained? *The operations, where they stand, the
#   widths, the depth. The search chooses the first three.*
# - **Page 1b.** Without a warm-up the search goes wrong. Why? *An untrained convolution is noise and `skip` is useful
#   at once; a small weight also slows down what a kernel learns.*
# - **Page 2.** How many architectures are there? *Most guess thousands. There are 29 paths times 26 billion cells.*
# - **Page 3.** The search has ended. Has it decided? *The cell looks as if it had; the entropy of alpha shows that it
#   has not.*
# - **Page 4.** Is the best path made of the best steps? *Most say yes. Greedy misses it where a good step leads to a
#   level with no good way on.*
# - **Page 5.** What does a larger lambda do to the trained network? *Most say that SSIM rises and PSNR falls. SSIM rose
#   in every run of this project; PSNR fell in the network as published and in small ones with their input added, and
#   rose in two others ([10](10_tables_5_6_ablation.ipynb), [10b](10b_what_a_recipe_is_worth.ipynb)).*
# - **Page 12.** Here are three scores of one network. Which one is wrong? *None by itself; it is wrong to compare one
#   with another.*
# - **Page 13.** Which experiment could show that the search is useless? *Random cells of the same space, trained alike,
#   with several seeds.*

# %% [markdown]
# ## Ten hours
#
# Five sessions of two hours. Each of the first four ends with exercises: those that check themselves in class, the
# written ones at home.

# %% tags=["hide-input"]
syllabus(
    "1. Pictures, noise, and restoring without learning",
    (15, "00_start_here", "What the paper claims, and what was found.", "before_after.png"),
    (45, "01_datasets", "Noise, rain, a camera; why doing nothing gains 1.7 dB in overlapping tiles; scenes that stand "
     "on both sides.",
     "the map of the tiles, on the page"),
    (30, "05b_classical_methods", "What patches of a picture have in common: what is possible without training.",
     "the restored crops, on the page"),
    (30, "", "`one_field` checks itself (of page 12; it needs only the map of the tiles).", ""),
)
syllabus(
    "2. A search from scratch",
    (90, "01b_search_from_scratch", "All of it, written live: an edge, a cell, two problems one inside the other.",
     "the trajectories of alpha, on the page"),
    (30, "", "`second_order` checks itself; two lines of algebra first.", ""),
)
syllabus(
    "3. The search of the paper",
    (50, "02_search_space", "Operations, cells, widths; Eq. 1 to 6 beside their code.", "figure1.svg"),
    (40, "03_search", "The loop, what moved, and why alpha stayed flat.", "search-denoising-seed0-gpu-curves.png"),
    (30, "", "`eq2`, `count` and `collapse` check themselves.", ""),
)
syllabus(
    "4. Decoding and training",
    (45, "04_viterbi_decoding", "Viterbi by pencil; greedy against it; what an untouched beta prefers.",
     "search-denoising-seed0-gpu-trellis.png"),
    (30, "05_training", "The loss, the loop, a restored picture.", "training-denoising-BSD500-sigma50-gpu.png"),
    (25, "05c_batch_norm", "Why a network of batch norms cannot see how bright its input is.", "the maps, on the page"),
    (20, "", "`greedy` checks itself.", ""),
)
syllabus(
    "5. What the numbers are worth",
    (45, "12_protocols", "Three scores of one network; predict the lift.",
     "predicted and measured lift, on the page"),
    (20, "06_table1_bsd500", "Which rows of Table 1 may be compared?", "psnr_against_cost.png"),
    (35, "13_does_the_search_matter", "Random cells, one cell from several seeds, and power.", "cells_denoising.png"),
    (20, "", "Discussion: which claims of the paper stand, on what evidence?", ""),
)

# %% [markdown]
# The other pages are projects for two students: the camera ([7](07_table2_sim1800.ipynb)), rain
# ([8](08_table3_rain800.ipynb)), changed cells ([9](09_table4_architecture_analysis.ipynb)), the loss
# ([10](10_tables_5_6_ablation.ipynb)), a recipe ([10b](10b_what_a_recipe_is_worth.ipynb)), time and memory
# ([11](11_efficiency.ipynb)), a search method for a table of cells ([14](14_searching_in_a_table.ipynb)), and one's own
# pictures ([15](15_your_own_pictures.ipynb)).
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
# ## What students misunderstand
#
# - **Alpha is not the importance of an operation.** It shows what lowers the loss a little further while the weights
#   stay as they are. A convolution that overfits gets a small weight, and so does one that has not learned yet (page
#   1b).
# - **The mixture is not the cell.** The supernet that was validated is not the network that is decoded from it, and
#   that network is trained anew (page 1b).
# - **A flat alpha still decodes.** The cell looks the same whether it won by a hair or by far (pages 3 and 4).
# - **± over pictures is not ± over seeds.** The first shows what other pictures would change, the second what another
#   training run would (page 13).
# - **A kept `skip` is no evidence that `skip` is right.** A search that leans towards it finds it either way (page 1b,
#   exercise 4).
#
# ## What goes wrong in class
#
# - Sliders move only in JupyterLab, where a kernel runs. The web book and a page on a code host show the picture that
#   the slider starts from.
# - The installation takes minutes and gigabytes, because it brings PyTorch. Have it done before the course.
# - No network of this project has been trained for even a hundredth of the paper's budget, and BM3D is ahead of all of
#   them in PSNR. Say so at the start, not in the last session.
# - Numbers that a page measures live, such as the ratio of times on page 11, differ from machine to machine.
