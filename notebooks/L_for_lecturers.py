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
# The pages make a course on neural architecture search and on how a paper's numbers are checked. Here are three ways to
# teach it, in one lecture, in four hours and in ten: which page goes into which slot, what to run in front of the
# class, which figure goes on the slide, and which exercises fit. Students need Python, PyTorch and some idea of a
# convolutional network. They need no data and no GPU: Run All works on each page in a clean copy of the project, but
# [some numbers are then others](L_for_lecturers.ipynb#Which-numbers-a-class-will-see). All minutes for people are
# estimates; those for computers are measured.
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


# %% tags=["hide-input"]
def title(page):
    """The heading of a page, as a link."""
    heading = next(line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("# # "))
    return f"[{heading[4:]}]({page.stem}.ipynb)"


def runtime(page):
    """How long a page computes, of its executed copy."""
    executed = page.with_suffix(".ipynb")
    seconds = nbformat.read(executed, as_version=4).metadata["irnas"]["seconds"] if executed.is_file() else 0
    return f"{seconds:.0f}&nbsp;s" if seconds < 90 else f"{seconds / 60:.0f}&nbsp;min"


def syllabus(heading, *slots):
    """A table of (minutes, page or empty, what to do, figure or empty)."""
    lines = [f"**{heading} ({sum(slot[0] for slot in slots)} minutes)**", "",
             "| minutes | page | live | Run All | slide |", "|--:|:--|:--|--:|:--|"]
    for minutes, name, live, figure in slots:
        page, runs_for = (title(pages[name]), runtime(pages[name])) if name else ("", "")
        shown = f"[{figure}](../figures/{figure})" if figure and (FIGURES / figure).is_file() else figure
        lines.append(f"| {minutes} | {page} | {live} | {runs_for} | {shown} |")
    display(Markdown("\n".join(lines)))


pages = {page.stem: page for page in sorted(NOTEBOOKS.glob("*.py")) if not page.stem.startswith("L_")}

# %% [markdown]
# ## One lecture
#
# How a search can work, how it can fail, and how an evaluation can flatter. "Run All" is the computing time of the
# whole page on one thread of a CPU; where that is longer than the slot, run the page before the class, or only the
# cells named.

# %% tags=["hide-input"]
syllabus(
    "One lecture",
    (10, "00_start_here", "The picture and its PSNR, and the two cells.", "before_after.png"),
    (35, "01b_search_from_scratch", "The edge, the slider of the softmax, the search with and without its warm-up.",
     "[mean weights, two panels](01b_search_from_scratch.ipynb#Without-a-warm-up)"),
    (10, "04_viterbi_decoding", "Only where the greedy path fails.",
     "[where the greedy path fails](04_viterbi_decoding.ipynb#The-greedy-path)"),
    (25, "12_protocols", "Three scores of one network, and the prediction, as they stand.",
     "[predicted and measured gain](12_protocols.ipynb#The-prediction)"),
    (10, "13_does_the_search_matter", "The result, and its power.", "cells_denoising.png"),
)

# %% [markdown]
# ## Four hours
#
# One afternoon: what such a search is, how its result is decoded, and what its evaluation is worth. Begin every slot
# with its question (below the table), and let the class answer before you run the cell. For a class on restoration take
# page 5c in place of page 3. If you are late, leave out page 15 first, then page 3; keep pages 12 and 13. A slide that
# is no file is linked to its section of the page; save the picture there: in JupyterLab with Shift and the right mouse
# button, in the web book with the right button alone.

# %% tags=["hide-input"]
syllabus(
    "One afternoon",
    (15, "00_start_here", "The picture and its PSNR, the two cells, the five findings. Skip the costs.",
     "before_after.png"),
    (45, "01b_search_from_scratch", "Build the edge and the cell; move the slider of the softmax; run the search "
     "without its warm-up. Then exercise 1 in pairs. Skip \"When skip connections take over\" and the widths.",
     "[mean weights, two panels](01b_search_from_scratch.ipynb#Without-a-warm-up)"),
    (30, "02_search_space", "The operations, one cell, one supernet. Skip \"Eq. 5 against Eq. 6\" and \"The result\".",
     "figure1.svg"),
    (15, "", "A break.", ""),
    (20, "03_search", "Only \"What moved\" and \"Why alpha stays flat\".", "search-denoising-seed0-gpu-curves.png"),
    (20, "04_viterbi_decoding", "Viterbi by pencil on the board, then the page; move a beta until two paths change "
     "places. Skip \"The cell\".", "[where the greedy path fails](04_viterbi_decoding.ipynb#The-greedy-path)"),
    (10, "", "A break.", ""),
    (40, "12_protocols", "Do not run it in class. Show \"Three protocols, one denoiser\" and the prediction as they "
     "stand; then exercise 3. Skip \"The other systems\" and \"What a file costs\".",
     "[predicted and measured gain](12_protocols.ipynb#The-prediction)"),
    (25, "13_does_the_search_matter", "The experiment, its result, and its power.", "cells_denoising.png"),
    (10, "15_your_own_pictures", "Restore a noisy photograph, and a clean one.", "own_picture.png"),
    (10, "16_verdicts", "The bar of verdicts, and the intervals. Which claim would you test next?", "verdicts.png"),
)

# %% [markdown]
# The questions, which are part of the slots, and what to expect:
#
# - **Page 0.** What has to be chosen before such a network can be trained? *The operations, where they stand, the
#   widths, the depth. The search chooses the first three.*
# - **Page 1b.** Without a warm-up the search goes wrong. Why? *An untrained convolution is noise and `skip` is useful
#   at once; a small weight also slows down what a kernel learns.*
# - **Page 2.** How many architectures are there? *Expect guesses of thousands. There are 29 paths times 26 billion
#   cells.*
# - **Page 3.** The search has ended. Has it decided? *The cell looks as if it had; the entropy of alpha shows that it
#   has not.*
# - **Page 4.** Is the best path made of the best steps? *Expect a yes. Greedy misses it where a good step leads to a
#   level with no good way on.*
# - **Page 12.** Here are three scores of one network. Which one is wrong? *None by itself; it is wrong to compare one
#   with another.* Then: which rows of the printed Table 1 may be compared? *Expect "all of them". BM3D and WNNM may:
#   their printed scores are near those on pictures of half size, which page 12 measures. RED's number is said to come
#   from the same table of RED-Net's authors, which is not part of this project. The paper says so of no row.* (This is
#   also the question of page 6, which is in the ten hours only.)
# - **Page 13.** Which experiment could show that the search is useless? *Random cells of the same space, trained alike,
#   with several seeds.*
# - **Page 15.** The network has never seen your picture. When should it take away nothing? *When there is no noise:
#   what it takes away may then only be detail.*
# - **Page 16.** Which claims can be decided without a GPU? *Those that need no training: scores of classical methods,
#   counts of parameters, and what the paper's own tables say.*

# %% [markdown]
# ## Ten hours
#
# Five sessions of two hours. Each ends with exercises: those that check themselves in class, the written ones at home.

# %% tags=["hide-input"]
syllabus(
    "1. Pictures, noise, and restoring without learning",
    (15, "00_start_here", "What the paper claims, and what was found.", "before_after.png"),
    (45, "01_datasets", "Noise, rain, a camera; why doing nothing gains 1.7 dB in overlapping tiles; scenes that stand "
     "on both sides.",
     "[the map of the tiles](01_datasets.ipynb#What-PSNR-measures)"),
    (30, "05b_classical_methods", "What patches of a picture have in common: what is possible without training.",
     "[the restored crops](05b_classical_methods.ipynb#Two-crops)"),
    (10, "15_your_own_pictures", "Restore a photograph: what the course leads to.", "own_picture.png"),
    (20, "", "Exercise 2 of page 1: four tiles over every pixel.", ""),
)
syllabus(
    "2. A search from scratch",
    (90, "01b_search_from_scratch", "All of it, written live: an edge, a cell, two problems one inside the other.",
     "[mean weights, two panels](01b_search_from_scratch.ipynb#Without-a-warm-up)"),
    (30, "", "Exercise `second_order`; the two lines of algebra below first.", ""),
)
syllabus(
    "3. The search of the paper",
    (50, "02_search_space", "Operations, cells, widths; Eq. 1 to 6 beside their code.", "figure1.svg"),
    (40, "03_search", "The loop, what moved, and why alpha stayed flat.", "search-denoising-seed0-gpu-curves.png"),
    (30, "", "Exercises `eq2` and `collapse`; `count` at home.", ""),
)
syllabus(
    "4. Decoding and training",
    (45, "04_viterbi_decoding", "Viterbi by pencil; greedy against it; what an untouched beta prefers.",
     "[where the greedy path fails](04_viterbi_decoding.ipynb#The-greedy-path)"),
    (30, "05_training", "The loss, the loop, a restored picture.", "training-denoising-BSD500-sigma50-gpu.png"),
    (25, "05c_batch_norm", "Why batch norms hide how bright the input is.",
     "[two maps](05c_batch_norm.ipynb#A-constant-that-cancels)"),
    (20, "", "Exercise `greedy`.", ""),
)
syllabus(
    "5. What the numbers are worth",
    (40, "12_protocols", "Three scores of one network; predict the lift. Run it before the class. `one_field` at home.",
     "[predicted and measured gain](12_protocols.ipynb#The-prediction)"),
    (20, "06_table1_bsd500", "Which rows of Table 1 may be compared? Who is ahead at one budget?",
     "ranking_at_one_budget.png"),
    (25, "13_does_the_search_matter", "Random cells, one cell from several seeds, and power.", "cells_denoising.png"),
    (20, "16_verdicts", "Which claims of the paper hold up, on what evidence? Let the class give each claim a verdict "
     "first.", "verdicts.png"),
    (15, "", "Exercises 2 and 3 of page 16 in pairs; those of page 12 at home.", ""),
)

# %% [markdown]
# The algebra for `second_order`: with $w' = w - \xi\, \nabla_w \mathcal{L}_W(w, \alpha)$ the chain rule gives
#
# $$\nabla_\alpha\, \mathcal{L}_A(w', \alpha) = \frac{\partial \mathcal{L}_A}{\partial \alpha}(w', \alpha)
# + \Big(\frac{\partial w'}{\partial \alpha}\Big)^{\!\top} \frac{\partial \mathcal{L}_A}{\partial w'}(w', \alpha),
# \qquad \frac{\partial w'}{\partial \alpha} = -\xi\, \nabla^2_{w, \alpha}\, \mathcal{L}_W(w, \alpha).$$
#
# First order leaves out the second term.
#
# ## Projects for two students
#
# The other pages give projects. In brackets: estimated days, and what shows that it is done.
#
# - **[Page 3b](03b_what_makes_a_search_decide.ipynb).** Find out whether sharpening finds better cells. (4 days; the
#   decoded cells of six seeds with it and six without it are trained from scratch, and the difference has an interval.)
# - **[Page 7](07_table2_sim1800.ipynb).** Make BM3D denoise a camera's noise better. The page tells it a mean spectrum
#   and gains little; does a spectrum for each brightness help? (3 days; the gain over the page's BM3D has an interval
#   over pictures.)
# - **[Page 8](08_table3_rain800.ipynb).** Find the smallest network that beats SCAN on rain. (5 days; both were trained
#   from three seeds at one budget.)
# - **[Page 9](09_table4_architecture_analysis.ipynb).** Train five more changed cells. (5 days; two seeds each, and the
#   published cell has a rank with an interval.)
# - **[Page 10](10_tables_5_6_ablation.ipynb).** Find out whether the log-SSIM term is worth less in a network that does
#   not add its input. (8 days; at least four seeds each, and each run differs from the next in one setting alone.)
# - **[Page 10b](10b_what_a_recipe_is_worth.ipynb).** Try one choice of the recipe that the page leaves out. (3 days;
#   what it is worth has an interval over three seeds.)
# - **[Page 11](11_efficiency.ipynb).** Time the networks on a GPU. (2 days; the order of systems is compared with that
#   on a CPU.)
# - **[Page 14b](14b_comparing_searches.ipynb).** Write a search method, and compare it with random search. (5 days; the
#   report states which difference the comparison could have detected.)
# - **[Page 15](15_your_own_pictures.ipynb).** Restore pictures of one's own. (2 days; three kinds of failure are shown,
#   each with its cause.)
#
# ## Assessment
#
# A suggestion for the ten hours: half of the points for exercises, half for an exam. The solutions come with the
# project, so ask for exercises to be explained, too, and change the numbers: in exercise 2 of page 12, two patches with
# squared errors of 0.002 and 0.008 have 26.99 and 20.97 dB, 23.98 on average, and the picture that they form has 23.01.
#
# | handed in | points |
# |:--|--:|
# | `eq2`, `collapse`, `greedy`: the check passes, and one sentence says why | 15 |
# | `second_order`, `one_field`: the check passes, and the code is explained | 15 |
# | exercise 2 of page 12, exercise 1 of page 13 and exercise 2 of page 16, in writing | 20 |
#
# One exam question for each goal of the course, with what a full answer has:
#
# - **Search.** Write down the two problems of a differentiable search and the steps of one iteration. What does first
#   order ignore? *The architecture's loss on A, at weights that are best on W; a step on the weights, a step on alpha
#   and beta. It ignores that the best weights depend on alpha.*
# - **Decoding.** Below are the weights of the edges of a cell of two nodes, and a trellis of three layers and two
#   levels that begins at level 0. Decode both. How decided are they? *Node n1 keeps `sep` from p2 and `conv` from p1;
#   n2 keeps `skip` from n1 and `conv` from p1: `none`, with 0.6 on p2 → n2, does not count. The weaker kept edge of n2
#   leads the next by 0.15. Viterbi: 0.33 and 0.36 in layer 2, 0.198 and 0.288 in layer 3, so 1,1,1. It is 1.33 times as
#   probable as the second, 0,1,1 (0.216), and the greedy path is 0,0,0 (0.198). Untouched, all eight paths are alike.*
# - **Protocol.** A "network" returns its input. Four tiles with fresh noise cover each pixel and are averaged. By how
#   many decibels does it gain, and what does it restore? *10 log10 4 = 6.02 dB; nothing.*
# - **Experiment.** A paper trains its searched cell once, and three random cells once each; the searched one is 0.3 dB
#   ahead. What can be concluded, and what would you add? *Nothing yet: seeds of each, more random cells of the same
#   size, an interval of the difference, and the power to see one of 0.3 dB.*
#
# The weights, and the probabilities of the moves, for the question on decoding:
#
# | edge | conv | sep | skip | none |
# |:--|--:|--:|--:|--:|
# | p2 → n1 | 0.2 | 0.5 | 0.2 | 0.1 |
# | p1 → n1 | 0.4 | 0.1 | 0.3 | 0.2 |
# | p2 → n2 | 0.1 | 0.1 | 0.2 | 0.6 |
# | p1 → n2 | 0.35 | 0.25 | 0.2 | 0.2 |
# | n1 → n2 | 0.2 | 0.1 | 0.5 | 0.2 |
#
# | into layer | 0 → 0 | 0 → 1 | 1 → 0 | 1 → 1 |
# |--:|--:|--:|--:|--:|
# | 1 | 0.6 | 0.4 | | |
# | 2 | 0.55 | 0.45 | 0.1 | 0.9 |
# | 3 | 0.6 | 0.4 | 0.2 | 0.8 |
#
# ## Exercises by difficulty
#
# Click to unfold. Easy ones take minutes and a pencil, medium ones need the page's code or an argument of a paragraph,
# hard ones an experiment or an afternoon. The written ones have their solution folded under them. Those with a name are
# files in `notebooks/exercises/` that check themselves, with solutions beside them.

# %% tags=["hide-input"]
WRITTEN = re.compile(r"^\*\*(\d+)\*\* \((easy|medium|hard)\)\. (.+?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
CHECKED = re.compile(r"`exercises/(\w+)\.py`\s\((easy|medium|hard)\)")
TASKS = {  # of an exercise that checks itself: what to write, and the minutes that it takes
    "eq2": ("Write Eq. 2, an edge as a mixture of all operations.", 10),
    "count": ("Derive how many weights a supernet has, without building it.", 60),
    "collapse": ("Write an alpha, hardly different from an untouched one, that decodes to skips alone.", 15),
    "greedy": ("Find a beta for which the best steps do not make the best path.", 15),
    "neighbours": ("List all cells that differ from a cell in one operation.", 20),
    "one_field": ("Find the leak in `redrawn`, and mend it.", 30),
    "second_order": ("Write the second-order gradient of the loss with respect to alpha.", 30),
}


def exercises(page):
    """(difficulty, name, text) of each exercise of a page."""
    prose = "\n\n".join(cell.source for cell in jupytext.read(page).cells if cell.cell_type == "markdown")
    written = [(level, number, " ".join(text.split())) for number, level, text in WRITTEN.findall(prose)]
    return written + [(level, f"`{name}`", "{} Checks itself; about {} minutes.".format(*TASKS[name]))
                      for name, level in CHECKED.findall(prose)]


found = [(level, page, name, text) for page in pages.values() for level, name, text in exercises(page)]
count = Counter(level for level, *_ in found)
print(", ".join(f"{count[level]} {level}" for level in ("easy", "medium", "hard")))
for level in ("easy", "medium", "hard"):
    rows = [f"| [{page.stem.split('_')[0].lstrip('0') or '0'}]({page.stem}.ipynb#Exercises) | {name} | {text} |"
            for difficulty, page, name, text in found if difficulty == level]
    summary = f"<details><summary>{level.capitalize()}: {count[level]}</summary>"
    display(Markdown("\n".join([summary, "", "| page | number or file | exercise |", "|--:|:--|:--|", *rows, "",
                                "</details>"])))

# %% [markdown]
# ## What students misunderstand
#
# - **Alpha is not the importance of an operation.** It shows what lowers the loss a little further while the weights
#   stay as they are. A convolution that overfits gets a small weight, and so does one that has not learned yet (page
#   1b).
# - **The mixture is not the cell.** The supernet that was validated is not the network that is decoded from it, and
#   that network is trained anew (page 1b).
# - **A flat alpha still decodes.** The cell looks the same whether it won by a hair or by far (pages 3 and 4).
# - **A low entropy is not yet a decision that was learned.** A temperature makes it of any logits (page 3b).
# - **± over pictures is not ± over seeds.** The first shows what other pictures would change, the second what another
#   training run would (page 13).
# - **A kept `skip` is no evidence that `skip` is right.** A search that leans towards it finds it either way (page 1b,
#   exercise 4).
#
# ## Which numbers a class will see
#
# The stored records come with the project, so what a page takes from them is the same everywhere: every table and
# figure of trained networks, searches and verdicts. What a page computes on photographs differs where a class does not
# have them, for then scikit-image's photographs stand in and the page says so. Its "What to notice" still describes the
# run that is shown here. This concerns the pages below; install BSD500 on your own machine if you teach page 12.

# %% tags=["hide-input"]
display(Markdown("\n".join(f"- {title(page)}" for page in pages.values()
                           if "load_or_embedded(" in page.read_text(encoding="utf-8"))))

# %% [markdown]
# Page 13 loads photographs only to train more cells, and page 3 only to search again; what they show is stored.
#
# ## What goes wrong in class
#
# - Sliders move only in JupyterLab, where a kernel runs. The web book and a page on a code host show the picture that
#   the slider starts from.
# - The installation takes minutes and gigabytes, because it brings PyTorch. Have it done before the course.
# - No network of the tables has been trained for even a hundredth of the paper's budget, and BM3D scores above all of
#   them in PSNR at sigma 50, if by less than another seed may change. Say so at the start, not in the last session.
#   (The networks of page 15 saw about a hundredth; there the order of network and BM3D depends on the noise, as that
#   page shows.)
# - Numbers that a page measures live, such as the ratio of times on page 11, differ from machine to machine.
