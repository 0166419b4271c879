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
# A photograph taken in little light is noisy, and one taken in the rain is full of streaks. A neural network can learn
# to clean both. But which network: how many layers, which kind of convolution where, how wide? **Neural architecture
# search** (NAS) leaves these choices to a program. In [IR-NAS: Neural Architecture Search for Image
# Restoration](https://arxiv.org/abs/1909.08228) (Zhang, Li, Chen and Shen, 2019) that program is gradient descent: all
# candidates are put into one large network, each with a weight; training moves the weights, and the strongest
# candidates are kept. The paper reports that the networks found so are better, smaller and faster than those made by
# hand.
#
# This project rebuilds all of it: search, training and measurement. It asks of each claim whether it holds, and how
# sure one can be. You can read its pages as a course, or look up what was found.

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
from irnas_lib.experiments import cell_table, results, runs
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
# Left of the line a photograph with white noise, whose standard deviation is 50 of 255 grey levels; right of it, what a
# network of the paper's structure makes of it. The network comes with the project. This page runs it, on a photograph
# that it has not seen.

# %% alt="A portrait: noisy to the left of a line, restored to the right, with a crop of both"
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
# *PSNR*, the peak signal-to-noise ratio, says how near a picture is to the clean one: 10 log10(255² / MSE) decibels
# (dB), where MSE is the mean squared error of a pixel in grey levels. A picture of 15 dB is very noisy, one of 25 dB is
# usable, and one of 40 dB can hardly be told from the clean one.
#
# ## How it is found
#
# The network is a chain of equal *cells*. Left, a cell during the search: p1 and p2 are the outputs of the two cells
# before it, n1 to n3 are its nodes. Every coloured line is a candidate, one of six operations between two nodes; all of
# them compute at once, each times its weight. Right, a cell after the search: each node keeps its two strongest
# incoming edges, each with its strongest operation. (`conv` is a convolution, `sep`, `dil` and `def` are separable,
# dilated and deformable ones, `skip` passes its input on, `none` gives nothing.) The width of each cell in the chain is
# found in a similar way.

# %% alt="Left a supercell, in which every edge carries six coloured operations; right a cell with two a node"
kept = Genotype([[("skip", "p2"), ("conv", "p1")], [("sep", "n1"), ("dil", "p1")], [("sep", "n2"), ("conv", "p2")]])
display(drawing.draw_cell_search(Supercell(3, 10), kept))

# %% [markdown]
# ## Five findings, and how strong each is
#
# BM3D and WNNM are classical methods, which learn nothing. IR-NAS + residual is the paper's network with its input
# added to its output. *Sigma* is the standard deviation of the noise in grey levels of 255. ± is half a 95% interval;
# *p* is the probability that a difference at least as large comes about by chance. The *entropy* of the candidates'
# weights is 1 where all weigh the same, so that nothing is decided, and 0 where one has all the weight.

# %%
known = verdicts.evidence(profile)
(pd.DataFrame(findings.five(known), columns=["finding", "measured here", "strength"]).style.set_uuid("findings")
 .hide(axis="index").set_properties(**{"text-align": "left", "vertical-align": "top"})
 .set_table_styles([{"selector": "th", "props": [("text-align", "left")]}])
 .set_properties(subset=["finding"], **{"font-weight": "bold", "width": "26%"}))

# %% [markdown]
# Where they are shown: the first two in [notebook 12](12_protocols.ipynb), the third in [notebook
# 6](06_table1_bsd500.ipynb), the fourth in [notebook 13](13_does_the_search_matter.ipynb), the fifth in notebooks
# [3](03_search.ipynb) and [4](04_viterbi_decoding.ipynb). The main claims of the paper, one line each with its
# error: [notebook 16](16_verdicts.ipynb).
#
# ## How to read on
#
# **As a student**, who knows some PyTorch: begin with [1](01_datasets.ipynb), the pictures, or with
# [1b](01b_search_from_scratch.ipynb), a search in 80 lines on a toy task; the two can be read in either order. Then the
# whole way on photographs: [2](02_search_space.ipynb) what can be found, [3](03_search.ipynb) searching,
# [4](04_viterbi_decoding.ipynb) decoding, [5](05_training.ipynb) training, [5c](05c_batch_norm.ipynb) what a batch norm
# hides; and [12](12_protocols.ipynb), on how a measurement can flatter. Each ends with exercises.
#
# **As a researcher**: [16](16_verdicts.ipynb), the verdicts; [12](12_protocols.ipynb) and
# [13](13_does_the_search_matter.ipynb), the two arguments that matter most; [10](10_tables_5_6_ablation.ipynb) and
# [10b](10b_what_a_recipe_is_worth.ipynb), what loss and recipe are worth; [5c](05c_batch_norm.ipynb), why many odd
# results come from batch norms; the tables [6](06_table1_bsd500.ipynb), [7](07_table2_sim1800.ipynb),
# [8](08_table3_rain800.ipynb) and [9](09_table4_architecture_analysis.ipynb); [A](A_every_printed_number.ipynb), every
# printed number.
#
# **As a lecturer**: [L](L_for_lecturers.ipynb) has a syllabus of four and of ten hours, figures for slides and the
# exercises by difficulty. Live, with sliders, are [01b](01b_search_from_scratch.ipynb) (softmax over operations),
# [4](04_viterbi_decoding.ipynb) (Viterbi on the board, the counterexample to greedy) and
# [15](15_your_own_pictures.ipynb) (a picture from the audience).
#
# **With a picture of your own**: [15](15_your_own_pictures.ipynb), or `python -m irnas_lib.restore noisy.png
# restored.png`.
#
# The rest: [5b](05b_classical_methods.ipynb) BM3D and WNNM, [11](11_efficiency.ipynb) speed and memory,
# [14](14_searching_in_a_table.ipynb) search methods compared on a table of trained cells.
#
# ## What each page costs
#
# Every page runs by Run All in any clone, without data; where it needs photographs that you do not have, it shows the
# stored record and computes on photographs that come with scikit-image. The computing times are those of the runs that
# are shown, on two CPU cores; a training or search that is stored is loaded. "Behind it" are the hours of training that
# were computed once, on one core or, for the longest trainings, on a GPU.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
trainings = {task: sum(result.seconds or 0 for result in known.results if result.task == task and result.iterations)
             for task in ("denoising", "sim1800", "deraining")}
behind = {"03": sum(found["seconds"] for found in known.searches), "06": trainings["denoising"],
          "07": trainings["sim1800"], "08": trainings["deraining"],
          "13": sum(cell["seconds"] or 0 for groups in known.cells.values() for record in groups.values()
                    for cell in record["cells"]),
          "14": sum(record["seconds"] or 0 for record in cell_table.read("denoising", profile))}


def costs(source):
    """Of a page: its title, minutes to read it, its run, and the hours of training behind it."""
    prose = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "markdown"]
    page = source.with_suffix(".ipynb")
    seconds = nbformat.read(page, as_version=4).metadata["irnas"]["seconds"] if page.is_file() else 0
    hours = behind.get(source.stem.partition("_")[0], 0) / 3600
    return (prose[0].splitlines()[0].removeprefix("# "), f"{sum(len(text.split()) for text in prose) / 120:.0f}",
            f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min", f"{hours:.1f} h" if hours else "")


(pd.DataFrame(map(costs, sorted((ROOT / "notebooks").glob("*.py"))),
              columns=["page", "reading, minutes", "computing", "behind it"]).style.set_uuid("pages")
 .hide(axis="index").set_properties(subset=["page"], **{"text-align": "left"})
 .set_table_styles([{"selector": "th.col0", "props": [("text-align", "left")]}]))

# %% [markdown]
# To install and run everything, two commands: `make reproduce`, which goes through all stages in minutes on pictures
# that need no download, and `make lab`, which opens the pages. The README says more, and how to run it on real
# photographs.
