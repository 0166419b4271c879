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
# # 0. Start here
#
# A photograph taken in low light is noisy, and one taken in the rain is full of streaks. A neural network can learn to
# clean both. But which network: how many layers, which convolution in which place, how wide? **Neural architecture
# search** (NAS) leaves these choices to a program. In [IR-NAS: Neural Architecture Search for Image
# Restoration](https://arxiv.org/abs/1909.08228) (Zhang, Li, Chen and Shen, 2019) that program is gradient descent: all
# candidates are put into one large network, each with a weight; training moves the weights, and the strongest
# candidates are kept. The paper reports that the networks found so are better, smaller and faster than those made by
# hand.
#
# This project rebuilds search, training and measurement. It checks whether each claim holds, and how certain that is.
# You can read its pages as a course, or look up what was found.
#
# Near its top every page has a cell of parameters. In an executed page a second such cell follows, headed "Parameters":
# its values replace the first ones and hold from there on. `profile` says whose results are shown: `smoke` is a small
# example, `laptop`, `gpu` and `paper` are runs on the real photographs.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
import jupytext
import nbformat
import pandas as pd
import torch
from IPython.display import display
from PIL import Image

from irnas_lib.data import datasets
from irnas_lib.data.pictures import to_tensor
from irnas_lib.evaluation import inference, protocols
from irnas_lib.experiments import cell_table, results, runs, search_choices
from irnas_lib.figures import before_after, drawing
from irnas_lib.files import ROOT
from irnas_lib.genotypes import Genotype
from irnas_lib.metrics import psnr
from irnas_lib.supercell import Supercell
from irnas_lib.tables import findings, verdicts

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## What such a network does
#
# Left of the line is a photograph with white noise, whose standard deviation is 50 on the 0-255 scale; right of it, the
# same photograph restored by a network of the paper's cell, with its input added to its output. It comes with the
# project, and this page runs it on a photograph that it has not seen.

# %% alt="A portrait, half noisy, half restored" jupyter={"source_hidden": true} tags=["hide-input"]
picture = datasets.load("denoising", "embedded").test[0]
clean = to_tensor(picture.clean).unsqueeze(0)
noisy = protocols.add_noise(clean, 50, 0, picture.name)
chosen = results.best(results.load(runs.SHIPPED / "results"), "denoising", "IR-NAS + residual", 50)
restored = inference.restorer(runs.trained_network(chosen, runs.SHIPPED), "cpu")(noisy)
shown = [(255 * side[0].permute(1, 2, 0)).clamp(0, 255).round().to(torch.uint8).numpy() for side in (noisy, restored)]
sheet = Image.fromarray(before_after.side_by_side(*shown, share=0.38, corner=(62, 57)))
display(sheet.resize((sheet.width * 3 // 4, sheet.height * 3 // 4)))
print(f"PSNR before: {psnr(noisy, clean).item():.1f} dB\nPSNR after:  {psnr(restored, clean).item():.1f} dB")

# %% [markdown]
# *PSNR*, the peak signal-to-noise ratio, measures how close a picture is to the clean one: 10 log10(255² / MSE)
# decibels (dB), where MSE is the mean squared error of its pixels. As our rule of thumb, a picture of 15 dB is very
# noisy, one of 25 dB is usable, and one of 40 dB can hardly be told from the clean one.
#
# ## How a network is found
#
# The network is a chain of identical *cells*. Left, a cell during the search, a *supercell*: p1 is the output of the
# cell before it and p2 that of the one before that; n1 to n3 are its nodes. Every arrow carries six candidate
# operations, which are drawn in colour on one of them; all are computed, and each is multiplied by its weight. Right, a
# cell after the search: each node keeps its two strongest incoming edges, each with its strongest operation. (`conv` is
# a convolution, `sep`, `dil` and `def` are separable, dilated and deformable ones, `skip` passes its input on, `none`
# gives nothing.) The width of each cell in the chain is found in a similar way.

# %% alt="Left a supercell, one edge with its six operations in colour; right a cell with two edges per node"
kept = Genotype([[("skip", "p2"), ("conv", "p1")], [("sep", "n1"), ("dil", "p1")], [("sep", "n2"), ("conv", "p2")]])
display(drawing.draw_cell_search(Supercell(3, 10), kept))

# %% [markdown]
# ## Five findings, and how strong each is
#
# A *protocol* is the way in which noise is added and a score is taken. The paper does not say which it used; the first
# two findings are about that. *BM3D* and *WNNM* are classical methods, *DnCNN* and *N3Net* other networks. ± gives the
# half-width of the 95% interval. [Words](../book/words.md) explains the course's terms in a sentence or two each, with
# the names of the paper's network and of its variants.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
known = verdicts.evidence(profile)
(pd.DataFrame([(number, *found) for number, found in enumerate(findings.five(known), 1)],
              columns=["", "finding", "measured here", "strength"]).style.set_uuid("findings")
 .hide(axis="index").set_properties(**{"text-align": "left", "vertical-align": "top"})
 .set_table_styles([{"selector": "th", "props": [("text-align", "left")]}])
 .set_properties(subset=["finding"], **{"font-weight": "bold", "width": "26%"}))

# %% [markdown]
# Findings 1 and 2 are shown on [page 12](12_protocols.ipynb), finding 3 on [page 6](06_table1_bsd500.ipynb), finding 4
# on page [13](13_does_the_search_matter.ipynb), finding 5 on pages [3](03_search.ipynb) and
# [4](04_viterbi_decoding.ipynb), and each main claim of the paper on [page 16](16_verdicts.ipynb).
#
# If the rows of N3Net and IR-NAS are of whole pictures, as weaker evidence on page 12 suggests, then by finding 1 the
# rows of the printed Table 1 were not all measured on the same kind of picture, and the table is no ranking. Finding 3
# is about the short training runs for the paper's tables; [page 15](15_your_own_pictures.ipynb) measures networks that
# were trained longer, for noisy image files. On finding 4, page [13](13_does_the_search_matter.ipynb) has the cells of
# four searches that did decide, in still shorter runs: they beat random cells by 0.31 dB (0.13 to 0.49), and not the
# best of as many as a search costs.

# %% [markdown]
# ## How to read on
#
# **As a student**, who knows some PyTorch. Most pages end with exercises. Follow this list; the button "Next" of the
# web book goes by number. When you have read it, look at [what students
# misunderstand](L_for_lecturers.ipynb#What-students-misunderstand).
#
# | order | page | what you get |
# |--:|:--|:--|
# | 1 | [1 The pictures](01_datasets.ipynb) | noise, rain, PSNR, and which pictures are used where |
# | 2 | [1b A search from scratch](01b_search_from_scratch.ipynb) | a search on a toy task with a known answer |
# | 3 | [2 The search space](02_search_space.ipynb) | which networks can be found, and how large they are |
# | 4 | [3 Searching](03_search.ipynb) | the paper's search, and whether it has decided |
# | 5 | [4 Decoding](04_viterbi_decoding.ipynb) | from the search's numbers to a network |
# | 6 | [5 Training](05_training.ipynb) | one system trained and measured |
# | 7 | [5b Classical denoisers](05b_classical_methods.ipynb) | BM3D and WNNM, which every network is compared with |
# | 8 | [5c What a batch norm hides](05c_batch_norm.ipynb) | why a network may not learn how bright a picture is |
# | 9 | [6 Table 1](06_table1_bsd500.ipynb) | the systems of Table 1, each with its interval |
# | 10 | [12 How an evaluation can flatter](12_protocols.ipynb) | what the protocol adds to a score |
# | 11 | [13 Does the search matter?](13_does_the_search_matter.ipynb) | how to test whether a search beats chance |
# | 12 | [16 Verdicts](16_verdicts.ipynb) | which of the paper's claims hold |
# | 13 | [15 Your own pictures](15_your_own_pictures.ipynb) | a network to use, and when not to use it |
#
# **As a researcher.** The first three pages have the main arguments.
#
# | order | page | what you get |
# |--:|:--|:--|
# | 1 | [16 Verdicts](16_verdicts.ipynb) | one line for each claim of the paper |
# | 2 | [12 Protocols](12_protocols.ipynb) | on which pictures the printed scores were measured |
# | 3 | [13 Does the search matter?](13_does_the_search_matter.ipynb) | searched cells against random ones |
# | 4 | [10 The loss](10_tables_5_6_ablation.ipynb) | what the log-SSIM term is worth |
# | 5 | [10b The recipe](10b_what_a_recipe_is_worth.ipynb) | the log-SSIM term and the shape of a batch, each alone |
# | 6 | [5c Batch norms](05c_batch_norm.ipynb) | the cause of many odd results |
# | 7 | [6 Table 1](06_table1_bsd500.ipynb) | denoising BSD500 |
# | 8 | [7 Table 2](07_table2_sim1800.ipynb) | denoising SIM1800 |
# | 9 | [8 Table 3](08_table3_rain800.ipynb) | deraining Rain800 |
# | 10 | [9 Table 4](09_table4_architecture_analysis.ipynb) | the published cells, and ways to change them |
# | 11 | [A Every printed number](A_every_printed_number.ipynb) | each beside what was measured |
#
# **As a lecturer**
#
# | order | page | what you get |
# |--:|:--|:--|
# | 1 | [L For lecturers](L_for_lecturers.ipynb) | three syllabi, slides, exercises by difficulty |
# | 2 | [1b](01b_search_from_scratch.ipynb) | live, with sliders: the softmax over operations |
# | 3 | [4](04_viterbi_decoding.ipynb) | live, with sliders: Viterbi, and where the greedy path fails |
# | 4 | [12](12_protocols.ipynb) | the page to keep if only one fits: three scores of one network |
# | 5 | [15](15_your_own_pictures.ipynb) | live: a picture from the audience |
#
# **With a picture of your own**: [15](15_your_own_pictures.ipynb), or `python -m irnas_lib.restore noisy.png
# restored.png`.
#
# The other pages: [3b](03b_what_makes_a_search_decide.ipynb) what makes a search decide, [11](11_efficiency.ipynb)
# speed and memory, [14](14_searching_in_a_table.ipynb) a table of trained cells, [14b](14b_comparing_searches.ipynb)
# search methods compared in invented ones. As a student, read 3b after 3 to see why nothing was decided there, 10 and
# 10b after 5c, and 14 and 14b after 13.
#
# ## What each page costs
#
# Every page runs by Run All in any clone, without data; where it needs photographs that you do not have, it shows the
# stored record and computes on photographs that come with scikit-image. The computing times are those of the runs
# shown, on one thread of a CPU; stored training runs and searches are loaded. (Page 12 is too long for a class as it is
# shown; with its default parameters it uses fewer pictures and steps.) The last column counts the hours of training
# that were computed once, on one core or, for the longest runs, on a GPU. Pages 5, 5c, 9, 10 and 12 use training runs
# that are counted at pages 6, 8, 10b and 13.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
trainings = {task: sum(result.seconds or 0 for result in known.results if result.task == task and result.iterations)
             for task in ("denoising", "sim1800", "deraining")}
behind = {"03": sum(found["seconds"] for found in known.searches),
          "03b": sum(found["seconds"] for found in search_choices.load(runs.folders(profile))),
          "06": trainings["denoising"], "07": trainings["sim1800"], "08": trainings["deraining"],
          "13": sum(cell["seconds"] or 0 for groups in known.cells.values() for record in groups.values()
                    for cell in record["cells"]),
          "10b": sum(record["seconds"] for record in known.recipes),
          "14": sum(record["seconds"] or 0 for record in cell_table.read("denoising", profile))}


def costs(source):
    """Of a page: its title, minutes to read it, its run, and the hours of training behind it."""
    prose = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "markdown"]
    page = source.with_suffix(".ipynb")
    seconds = nbformat.read(page, as_version=4).metadata["irnas"]["seconds"] if page.is_file() else 0
    hours = behind.get(source.stem.partition("_")[0], 0) / 3600
    return (prose[0].splitlines()[0].removeprefix("# "), f"{sum(len(text.split()) for text in prose) / 120:.0f}",
            f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min", f"{hours:.1f}" if hours else "")


(pd.DataFrame(map(costs, sorted((ROOT / "notebooks").glob("*.py"))),
              columns=["page", "reading (min)", "computing", "training time (h)"]).style.set_uuid("pages")
 .hide(axis="index").set_properties(subset=["page"], **{"text-align": "left"})
 .set_table_styles([{"selector": "th.col0", "props": [("text-align", "left")]}]))

# %% [markdown]
# Two commands install and run everything: `make reproduce` runs all stages in minutes on pictures that need no
# download, and `make lab` opens the pages. The README describes how to run them on real photographs.
