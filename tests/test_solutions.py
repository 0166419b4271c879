"""The written exercises of the pages: each has a difficulty and a solution, and the numbers in it are computed here."""

import csv
import io
import itertools
import math
import re
import subprocess
import sys
from collections import Counter
from functools import partial

import nbformat
import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image
from scipy import stats
from skimage import data as photographs

from irnas_lib import decode
from irnas_lib.data import camera, datasets
from irnas_lib.data.patches import Patches
from irnas_lib.data.pictures import to_tensor
from irnas_lib.data.tiles import corners
from irnas_lib.evaluation import systems
from irnas_lib.experiments import cell_table, cells, edits, results, runs, searching, table_facts
from irnas_lib.figures import panels
from irnas_lib.files import ROOT, read_json
from irnas_lib.genotypes import PUBLISHED
from irnas_lib.losses import restoration_loss
from irnas_lib.metrics import psnr
from irnas_lib.restore import noise, pictures
from irnas_lib.restore.denoiser import Denoiser
from irnas_lib.search_space import OPERATIONS, edges, levels, states
from irnas_lib.supernet import Supernet
from irnas_lib.tables import printed, verdicts

NOTEBOOKS = ROOT / "notebooks"
SOLVED = re.compile(r"^\*\*(\d+)\*\* \((easy|medium|hard)\)\. (.+?)\n\n<details><summary>Solution</summary>\n\n"
                    r"(.+?)\n\n</details>$", re.MULTILINE | re.DOTALL)
UNSOLVED = {"00_start_here"}  # pages whose exercises have no solutions yet


def prose(page):
    cells = nbformat.read(NOTEBOOKS / f"{page}.ipynb", as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def printed_on(page):
    """What the code of a page has printed; of a table, a line for each row, its cells between bars."""
    cells = nbformat.read(NOTEBOOKS / f"{page}.ipynb", as_version=4).cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/markdown")
                     or rows(output.get("data", {}).get("text/html", "")) for output in outputs)


def rows(html):
    page = BeautifulSoup(html, "html.parser")
    return "\n".join([*(caption.get_text() for caption in page.select("caption")),
                      *(f"| {' | '.join(cell.get_text(' ', strip=True) for cell in row.select('td, th'))} |"
                        for row in page.select("tr"))])


def solution(page, number):
    (name,) = [path.stem for path in NOTEBOOKS.glob(f"{page}_*.ipynb")]
    (found,) = [text for n, _, _, text in SOLVED.findall(prose(name)) if n == str(number)]
    return " ".join(found.split())


WITH_EXERCISES = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))
                  if "## Exercises\n" in prose(path.stem) and path.stem not in UNSOLVED]


@pytest.mark.parametrize("page", WITH_EXERCISES)
def test_every_exercise_has_a_difficulty_and_a_solution(page):
    section = prose(page).split("## Exercises\n")[1]
    solved = SOLVED.findall(section)
    assert [int(number) for number, *_ in solved] == list(range(1, len(solved) + 1)) and solved
    assert len(solved) == section.count("<details>") == section.count("</details>")
    checked = re.findall(r"`exercises/(\w+)\.py`(\s\((?:easy|medium|hard)\))?", section)
    assert all(level for _, level in checked), "an exercise that checks itself has no difficulty"
    without = re.sub(r"<details>.+?</details>", "", section, flags=re.DOTALL)
    assert not re.search(r"^\d+\. ", without, re.MULTILINE), "a written exercise without a solution"


def test_the_page_for_lecturers_lists_every_exercise():
    output = printed_on("L_for_lecturers")
    for page in WITH_EXERCISES:
        section = prose(page).split("## Exercises\n")[1]
        for number, level, text, _ in SOLVED.findall(section):
            row = f"({page}.ipynb#Exercises) | {number} | {' '.join(text.split())[:60]}"
            assert row in output.split(f"<summary>{level.capitalize()}:")[1].split("</details>")[0], (page, number)
        for name in re.findall(r"`exercises/(\w+)\.py`\s\(", section):
            assert f"({page}.ipynb#Exercises) | `{name}` |" in output


def twins():
    with open(datasets.SCENES, encoding="utf-8") as file:
        pairs = Counter(row["photograph"] for row in csv.DictReader(file) if row["picture"].startswith("training"))
    total, held = sum(pairs.values()), sum(pairs.values()) // 10
    alone = {size: math.prod((held - 1 - i) / (total - 1 - i) for i in range(size - 1)) for size in pairs.values()}
    expected = sum(size * held / total * (1 - alone[size]) for size in pairs.values())
    return [f"{expected:.0f} of the {held} validation pairs"] if expected % 1 < 0.5 else [
        f"{math.floor(expected)} of the {held} validation pairs"]


def four_tiles():
    cover = np.zeros((321, 481))
    for top, left in corners((1, 1, 321, 481), 64, 32):
        cover[top:top + 64, left:left + 64] += 1
    left_over = np.mean(1 / cover)
    return [f"{10 * math.log10(4):.2f} dB", f"{left_over:.0%} of the noise power",
            f"{-10 * math.log10(left_over):.2f} dB"]


def camera_noise():
    coffee = next(picture.clean for picture in datasets.load("deraining", "embedded").train if "coffee" in picture.name)
    side = min(coffee.shape[:2]) // 2 * 2
    clean = coffee[:side, :side] / 255
    linear = camera.srgb_to_linear(clean)
    strong = camera.Parameters(shot=0.1, read=0.05, luma_space=0.5, luma_range=0.3, chroma_space=8, chroma_range=0.1,
                               sharpening=0.2, jpeg_level=4)
    raw, rng = camera.mosaic(linear), np.random.default_rng(0)
    sensed = camera.add_read_noise(camera.add_shot_noise(raw, strong.shot, rng), strong.read, rng)
    error = camera.photograph(linear, strong, np.random.default_rng(0)) / 255 - clean

    def spread(of, brightness, lowest):
        return 255 * of[(brightness >= lowest) & (brightness < lowest + 0.2)].std()
    return [f"{spread(sensed - raw, raw, 0):.0f} grey levels in the darkest range and of "
            f"{spread(sensed - raw, raw, 0.8):.0f} in the brightest",
            f"{spread(error, clean, 0):.0f} in the darkest and {spread(error, clean, 0.8):.0f} in the brightest",
            f"excess kurtosis {stats.kurtosis(error, axis=None):.1f}"]


def cells_of_any_size():
    total = math.prod(6 ** sum(node == name for _, node in edges(5)) - 1 for name in states(5)[2:])
    two = math.prod(math.comb(i + 1, 2) * 25 for i in range(1, 6))
    return [f"{total:,}".replace(",", "{,}"), f"{total / two:,.0f} times"]


def ways(widths):
    return sum(abs(a - b) <= 1 for a in range(widths) for b in range(widths))


def incoming():
    """Untouched beta, normalised over the moves into a cell: each path's product."""
    chance = {}
    for path in decode.all_paths(4):
        sources = [sum(abs(source - to) <= 1 for source in (levels(layer) if layer else [0]))
                   for layer, to in enumerate(path)]
        chance[path] = 1 / math.prod(sources)
    for last in range(3):
        assert math.isclose(sum(p for path, p in chance.items() if path[-1] == last), 1)
    best = max(chance, key=chance.get)
    return [f"total is {sum(chance.values()):.0f}", f"{','.join(map(str, best))} leads with 1/{1 / chance[best]:.0f}",
            f"0,0,0,1, which shares the lead of the other reading, has 1/{1 / chance[0, 0, 0, 1]:.0f}"]


def ties():
    flat = torch.zeros(9, 3)
    chance = {path: math.exp(decode.path_log_probability(flat, path)) for path in decode.all_paths(4)}
    best = [path for path in chance if math.isclose(chance[path], max(chance.values()))]
    assert len(best) == 2 and decode.viterbi_path(flat)[0] == best[0]
    return [f"To {','.join(map(str, best[0]))}; its probability, 1/{1 / chance[best[0]]:.0f}, is that of "
            f"{','.join(map(str, best[1]))}"]


def second_best():
    for beta in torch.randn(100, 9, 3, generator=torch.Generator().manual_seed(0)):
        best = {0: [((), 0.0)]}
        for layer in decode.transition_scores(beta):
            reached = {}
            for (source, level), score in layer.items():
                reached.setdefault(level, []).extend(((*path, level), sum_ + score) for path, sum_ in best[source])
            assert max(map(len, reached.values())) <= 6
            best = {level: sorted(ways, key=lambda way: -way[1])[:2] for level, ways in reached.items()}
        ranked = sorted(decode.all_paths(4), key=lambda path: -decode.path_log_probability(beta, path))
        assert sorted(itertools.chain(*best.values()), key=lambda way: -way[1])[1][0] == ranked[1]
    return ["six candidates, two from each of three sources"]


def steps_of_adam():
    settings = nbformat.read(NOTEBOOKS / "03_search.ipynb", as_version=4).metadata["irnas"]["parameters"]
    per_epoch = 147 * settings["crops_per_picture"] // settings["batch"]
    steps = per_epoch * (settings["epochs"] - settings["warmup_epochs"])
    return [f"{math.log(5):.2f}", f"= {math.log(5) / 0.002:.0f} steps", f"This search had {steps}"]


def sharpened():
    """An edge of five operations, one of which leads by 0.5, at two temperatures."""
    logits = torch.tensor([0.5, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    once, tenth = ((logits / temperature).softmax(dim=0) for temperature in (1, 0.1))
    entropies = decode.undecided(torch.stack([once, tenth])).tolist()
    return [f"= {once[0]:.2f}, and the entropy is {entropies[0]:.2f}",
            f"= {tenth[0]:.2f}, and the entropy {entropies[1]:.2f}"]


def all_of_one_sign():
    chance = {seeds: stats.binomtest(seeds, seeds).pvalue for seeds in (3, 5, 6)}
    assert chance[6] < 0.05 < chance[5]
    return [f"= {chance[3]:.0%}", f"is {chance[5]:.1%} for five and {chance[6]:.1%} for six"]


def first_choices():
    """What an untouched alpha would raise first, by seed."""
    patches, raised = Patches(datasets.load("denoising", "embedded").train, 32, sigmas=(30, 50, 70), rotate=True), []
    for seed in range(4):
        torch.manual_seed(seed)
        supernet = Supernet(layers=2, nodes=2, width=4, channels=1)
        for batch in range(4):
            degraded, clean = patches.batch(4, 0, batch)
            restoration_loss(supernet(degraded), clean).backward()
        raised.append(f"`{OPERATIONS[int(supernet.alpha.grad.mean(dim=0).argmin())]}`")
    return [f"{', '.join(raised[:3])} and {raised[3]} for the seeds 0 to 3"]


def curves():
    def read(recipe):
        return dict((step, psnr) for step, _, psnr in read_json(
            ROOT / f"checkpoints/results/denoising-ir_nas-sigma50-seed0-{recipe}-laptop.json")["curve"])
    paper, matched = read("paper-1000"), read("matched-4500")
    assert 9.5 < matched[45] < 10.5 and 10.5 < matched[90] < 11.5 and min(paper[90], paper[130]) < 15
    return [f"{1 / math.sqrt(9 * 20):.3f}", f"{paper[10]:.1f} dB after 10 iterations", f"{paper[60]:.1f} dB after 60"]


def on_page(page, *patterns):
    """What groups of patterns match in a page's outputs, or in a table of figures/."""
    output = (ROOT / "figures" / page).read_text() if page.endswith(".md") else printed_on(page)
    return [group for pattern in patterns for group in re.search(pattern, output, re.DOTALL).groups()]


def late_rise():
    before, off, after, error = map(float, on_page("05_training", r"fifth 4 of the run: ([\d.]+) ± ([\d.]+) dB",
                                                   r"fifth 5 of the run: ([\d.]+) ± ([\d.]+) dB"))
    rise, half = after - before, math.hypot(off, error)
    assert rise - half < 0 and 0.5 < rise + half < 1
    return [f"√({error:.2f}² + {off:.2f}²) = {half:.2f} dB", f"{rise:.2f} ± {half:.2f} dB",
            f"from {rise - half:.2f} to {rise + half:.2f}"]


def printed_lead():
    number = {item.system: float(item.number) for item in printed.load()
              if (item.where, item.task, str(item.sigma), item.metric) == ("1", "denoising", "50", "PSNR")}
    (ours,) = [result for result in results.load(ROOT / "checkpoints" / "results")
               if result.stem == "denoising-ir_nas-sigma50-seed0-matched-5000-gpu"]
    redrawn, half = (ours.metrics[name]["psnr"] for name in ("redrawn", "half"))
    return [f"{number['IR-NAS']:.2f} - {number['RED']:.2f} = {number['IR-NAS'] - number['RED']:.2f} dB",
            f"{redrawn:.2f} dB in `redrawn` and {half:.2f} in `half`", f"{redrawn - half:.2f} dB apart"]


def averages():
    rho = [1, *map(float, on_page("01_datasets", r"shifted by 1 to 8 pixels: ([\d. ]+)")[0].split())]
    nine = (9 + 2 * sum((9 - lag) * rho[lag] for lag in range(1, 9))) / 81
    return [f"(1 + {rho[1]:.2f}) / 2 = {(1 + rho[1]) / 2:.0%}", f"nine in a row {nine:.0%} instead of {1 / 9:.0%}"]


def blocks():
    rho = float(on_page("01_datasets", r"shifted by 1 to 8 pixels: ([\d.]+)")[0])
    left = (4 + 2 * (4 * rho + 2 * rho ** 2)) / 16
    return [f"{10 * math.log10(4):.1f} dB", f"(4 · {rho:.2f} + 2 · {rho ** 2:.2f})) / 16 = {left:.0%}",
            f"{-10 * math.log10(left):.1f} dB"]


def rescan():
    number = {item.system: float(item.number) for item in printed.load() if (item.where, item.metric) == ("3", "PSNR")}
    ours, theirs = number["IR-NAS"], number["RESCAN"]
    return [f"{ours:.2f} - {theirs:.2f} = {ours - theirs:.2f} dB"]


def colour_shifts():
    crops = panels.load(ROOT / "checkpoints" / "panels", "deraining", "Rain800", None)["1"]
    shifts = [[f"{mean:.0f}" for mean in (crops[name].astype(float) - crops["clean"]).mean(axis=(0, 1))]
              for name in ("degraded", "RESCAN", "IR-NAS")]
    return ["{}, {} and {} grey levels above the clean crop".format(*shifts[0]),
            "RESCAN leaves {}, {} and {}".format(*shifts[1]), "IR-NAS leaves {}, {} and {}:".format(*shifts[2])]


def changes():
    counts = {task: {kind: len(change(PUBLISHED[task, "IR-NAS"].genotype)) for kind, change in edits.KINDS.items()}
              for task in ("denoising", "deraining")}
    assert 10 * (len(OPERATIONS) - 2) == counts["denoising"]["operation"]
    return [f"operations may stand: {counts['denoising']['operation']}.",
            f"2 (0 + 1 + 2 + 3 + 4) = {counts['denoising']['input']}",
            f"2 (0 + 1 + 2 + 3) = {counts['deraining']['input']}"]


def rewired():
    ways = {}
    for task in ("denoising", "deraining"):
        cell = PUBLISHED[task, "IR-NAS"].genotype
        ways[task] = [sum(changed[node] != pair for changed in edits.rewirings(cell)) for node, pair in enumerate(cell)]
    noise, rain = ways["denoising"], ways["deraining"]
    assert noise[:2] == [0, 0]
    return [f"n4 ({noise[3]} ways)", f"n5 ({noise[4]} ways)", f"allow {noise[2]} ways; together {sum(noise)}",
            f"{' + '.join(map(str, rain))} = {sum(rain)}"]


def worth_believing():
    base, off = ([read_json(ROOT / f"checkpoints/choices/ir_nas_residual-{name}-10M-seed{seed}.json")["validation"]
                  for seed in (0, 1)] for name in ("base", "lambda_0"))

    def after(pixels, runs):
        return [min(run, key=lambda point: abs(point[0] * 2 * 64 ** 2 - pixels))[1] for run in runs]
    tenth, fifth = ([after(pixels, runs) for runs in (base, off)] for pixels in (1e6, 2e6))
    return ["the base has {:.1f} and {:.1f} dB with its two seeds, lambda 0 has {:.1f} and {:.1f}".format(
        *tenth[0], *tenth[1]), "{:.1f} and {:.1f} against {:.1f} and {:.1f}".format(*fifth[0], *fifth[1])]


def soft_thresholds():
    """Exercise 2 of page 5b, by the page's own code."""
    cells = nbformat.read(NOTEBOOKS / "05b_classical_methods.ipynb", as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    page = {}
    for start, end in (("import os", "print("), ("SIZE, NOISE", "fig = plt"), ("def sparse", "by_hand = ")):
        (source,) = [source for source in code if source.startswith(start)]
        exec(source.split(f"\n{end}")[0], page)

    def soft(stack, threshold):
        spectrum = page["fft"].dctn(stack.reshape(-1, 8, 8), norm="ortho")
        spectrum = np.sign(spectrum) * np.maximum(np.abs(spectrum) - threshold * page["NOISE"], 0)
        return page["fft"].idctn(spectrum, norm="ortho").reshape(stack.shape)

    hard, *others = [page["quality"](page["denoised"](page["noisy"], 32, method)) for method in (
        page["sparse"], partial(soft, threshold=2.7), partial(soft, threshold=1.5))]
    return [f"With 2.7 it has {others[0]:.2f} dB and with 1.5 it has {others[1]:.2f}",
            f"hard threshold has {hard:.2f}"]


def averaged():
    lifts = [-10 * math.log10(1 - share / 2) for share in (0.2, 0.5)]
    return [f"{lifts[0]:.2f} dB", f"{lifts[1]:.2f} dB", f"{lifts[1] - lifts[0]:.2f} dB"]


def two_patches():
    each, together = [-10 * math.log10(error) for error in (0.001, 0.004)], -10 * math.log10(0.0025)
    return [f"{each[0]:.2f} and {each[1]:.2f} dB, {sum(each) / 2:.2f} on average; the picture that they form has "
            f"{together:.2f}"]


def own_pictures():
    """Exercises 2 and 3 of page 15 on a crop, with the network that the page takes: what their solutions say."""
    cat = datasets.Picture("chelsea", photographs.chelsea()[100:228, 100:228])
    noisy, denoise = datasets.noisy_file(cat, 25).degraded, Denoiser(torch.device("cpu"))
    network = denoise.load(denoise.fitting(noisy)[1])

    def restored(array):
        return denoise(array).restored

    def answered(array):
        return pictures.restore_picture(*network, array)

    def quality(array):
        return psnr(to_tensor(array).unsqueeze(0), to_tensor(cat.clean).unsqueeze(0)).item()
    once, file = restored(noisy), io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=50)
    jpeg = np.asarray(Image.open(file))
    error = jpeg - cat.clean.astype(float)
    error -= error.mean(axis=(0, 1))
    neighbours = (error[:, 1:] * error[:, :-1]).mean() / error.var()
    return ([f"from {quality(noisy):.1f} to {quality(once):.1f} dB", f"gives {noise.estimated_sigma(once):.1f}",
             f"at {quality(restored(once)):.1f} dB", f"alone ends at {quality(answered(once)):.1f}"],
            [f"from {quality(noisy):.1f} to {quality(jpeg):.1f} dB", f"({neighbours:.2f} instead of 0)",
             f"gives {noise.estimated_sigma(jpeg):.1f} instead of {error.std():.0f}",
             f"at {quality(restored(jpeg)):.1f} dB", f"alone reaches {quality(answered(jpeg)):.1f}",
             f"the {quality(once):.1f} without JPEG"])


def test_the_numbers_of_page_15():
    for number, wanted in zip((2, 3), own_pictures()):
        assert not [words for words in wanted if words not in solution("15", number)], wanted


def power():
    spread = float(on_page("13_does_the_search_matter", r"random +6 runs .*?deviation ([\d.]+)")[0])
    each = 2 * ((1.96 + 0.84) * spread / 0.05) ** 2
    shift = 0.5 / (spread * math.sqrt(1 / 3 + 1 / 6))
    assert 0.4 < stats.nct.sf(stats.t.ppf(0.975, 7), 7, shift) < 0.65, "every second time"
    return [f"{spread} dB each", rf"\approx {each:.0f}"]


def shares():
    spreads = on_page("13_does_the_search_matter", r"published +4 runs .*?deviation ([\d.]+)",
                      r"random +6 runs .*?deviation ([\d.]+)")
    seeds, cells = map(float, spreads)
    return [f"{seeds} dB", f"{cells} dB", f"({seeds} / {cells})² = {(seeds / cells) ** 2:.0%}"]


def rank():
    counts = [len(change(PUBLISHED["denoising", "IR-NAS"].genotype)) for change in edits.KINDS.values()]
    trained = cells.by_group(cells.best_known([ROOT / "checkpoints" / "cells"], "denoising"))
    changed = [cell["psnr"] for kind in edits.KINDS for cell in trained[kind]]
    (published,) = [cell["psnr"] for cell in trained["published"] if cell["seed"] == 0]
    ahead = {4: "four"}[sum(psnr > published for psnr in changed)]
    assert len(changed) == 9
    return [f"{' + '.join(map(str, counts))} = {sum(counts)}", f"3 / {sum(counts) + 1} = {3 / (sum(counts) + 1):.1%}",
            f"{ahead} of them are ahead", f"{published:.2f} dB", "rank 5 of 10"]


def shares_of_parameters():
    ours, theirs = (systems.registered(system, 1, architecture) for system, architecture in (
        ("IR-NAS", systems.published("denoising")), ("N3Net", None)))
    return [f"0.63 / 0.68 = {100 * 0.63 / 0.68:.2f}%", f"{theirs:,} parameters", f"{ours:,} divided by 2^20",
            f"parameters is {100 * ours / theirs:.2f}%", f"57,600 of IR-NAS's belong to a layer that is never used; "
            f"without them the share is {100 * (ours - 57_600) / theirs:.2f}%"]


def share_of_nlrn():
    ours, theirs = (systems.registered(system, 1, architecture) for system, architecture in (
        ("IR-NAS", systems.published("denoising")), ("NLRN", None)))
    return [f"{100 * 0.63 / 0.98:.2f}% of NLRN", f"{100 * ours / theirs:.2f}%", f"{theirs:,} parameters"]


def half_the_deviation():
    known = verdicts.evidence("gpu")
    with pytest.MonkeyPatch.context() as patch:
        before, over_seeds = verdicts.verdicts(known), verdicts.over_seeds
        patch.setattr(verdicts, "over_seeds", lambda groups, trainings=2: over_seeds(groups, trainings) / 2)
        after = verdicts.verdicts(known)
    ((line, changed),) = [(line, then) for line, then in zip(before, after) if line.verdict != then.verdict]
    assert line.claim == "IR-NAS over N3Net, input added"
    return [f"{-line.measured:.2f} dB behind", f"± {line.both:.2f} dB: {line.verdict}",
            f"± {changed.both:.2f} dB, which no longer", f"{line.printed:.2f} dB: {changed.verdict}"]


def one_cell_once():
    """The published cell, of 18 runs four, is one of 15 cells and the last of them."""
    cells = 18 - 4 + 1
    p = stats.mannwhitneyu([0], np.arange(1, cells), method="exact").pvalue
    return [f"the last of {cells}", f"2 of {cells} cases", f"p = 2/{cells} = {p:.2f}"]


def seeds_needed():
    """Of a cell, for a mean whose error is a third of the spread over cells."""
    found = []
    for task in ("denoising", "fast_rate", "usual_start"):
        known = table_facts.noise(cell_table.read(task), cell_table.PLANS["denoising"].pixels)
        exact = 9 * (round(known.over_seeds, 3) / round(known.over_cells, 3)) ** 2
        found += [f"= {exact:.1f}, so {math.ceil(exact)} seeds"]
    return found


def random_cells_needed():
    n = math.log(0.05) / math.log(0.95)
    assert 1 - 0.95 ** 59 >= 0.95 > 1 - 0.95 ** 58
    return [f"{n:.1f}", f"{math.ceil(n)} cells"]


def instance_norms():
    """The experiment of page 5c with instance norms in place of its batch norms, trained for squared error."""
    photographs, found = datasets.load("denoising", "embedded"), []
    crops = Patches(photographs.train, crop=32, sigmas=(50,))
    noisy, clean = Patches(photographs.test, crop=32, sigmas=(50,)).batch(64, 0, 0)
    for added in (0, 1):
        torch.manual_seed(0)
        layers = [layer for inputs in (1, 16, 16, 16) for layer in (
            torch.nn.Conv2d(inputs, 16, 3, padding=1, bias=False), torch.nn.InstanceNorm2d(16), torch.nn.ReLU())]
        body = torch.nn.Sequential(*layers, torch.nn.Conv2d(16, 1, 3, padding=1))
        optimizer = torch.optim.AdamW(body.parameters())
        for step in range(300):
            optimizer.param_groups[0]["lr"] = 3e-3 * min(1, (step + 1) / 30) * (1 - step / 300)
            x, y = crops.batch(8, 0, 0, step)
            optimizer.zero_grad()
            (body(x) + added * x - y).square().mean().backward()
            optimizer.step()
        with torch.no_grad():
            scores = [psnr(net(noisy) + added * noisy, clean).mean().item() for net in (body.train(), body.eval())]
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)
        found.append(f"{scores[0]:.1f} dB")
    return found


def differences_of_neighbours():
    rng = np.random.default_rng(1)
    smooth = np.convolve(rng.normal(size=100_000), np.ones(3) / 3, mode="valid")
    factor = np.diff(smooth).std() / 2 ** 0.5 / smooth.std()
    assert factor == pytest.approx((1 - 2 / 3) ** 0.5, rel=0.01)
    return [f"1.00 and {factor:.2f}", f"factor of {(1 - 0.49) ** 0.5:.2f}"]


def brighter_and_shifted():
    clean = to_tensor(datasets.load("denoising", "embedded").test[0].clean).unsqueeze(0)
    found = []
    for spoilt in (clean + 0.1, clean.roll(1, dims=-1)):
        slopes = []
        for weight in (0, 0.5):
            x = spoilt.clone().requires_grad_()
            slopes.append(torch.autograd.grad(restoration_loss(x, clean, weight), x)[0].flatten())
        error, ssim = slopes[0], slopes[1] - slopes[0]
        found.append((torch.cosine_similarity(error, ssim, dim=0).item(), (ssim.norm() / error.norm()).item()))
    (cosine, ratio), (shifted, times) = found
    return [f"cosine {cosine:.2f}", f"{ratio:.1f} times as long", f"{shifted:.2f} and {times:.0f} times"]


@pytest.mark.parametrize("page, number, computed", [
    ("01", 1, twins), ("01", 2, four_tiles), ("01", 3, camera_noise), ("02", 2, cells_of_any_size),
    ("02", 3, lambda: [f"factor of {ways(4) / 4:.1f}"] if ways(4) == 10 else []), ("03", 2, steps_of_adam),
    ("03b", 1, sharpened), ("03b", 2, all_of_one_sign), ("03b", 3, first_choices),
    ("04", 1, incoming), ("04", 2, ties), ("04", 3, second_best), ("05", 1, curves), ("05", 3, late_rise),
    ("05b", 2, soft_thresholds), ("05c", 2, instance_norms), ("06", 1, printed_lead), ("07", 1, averages),
    ("07", 2, blocks), ("07", 3, differences_of_neighbours),
    ("08", 1, rescan), ("08", 2, colour_shifts), ("09", 1, changes), ("09", 2, rewired),
    ("10", 2, brighter_and_shifted), ("10b", 2, worth_believing),
    ("11", 1, lambda: [f"each: {ways(5)}.", f"{ways(5)} / 5 = {ways(5) / 5:.1f}"]),
    ("12", 2, two_patches), ("12", 3, averaged), ("13", 1, power), ("13", 2, shares), ("13", 3, rank),
    ("14", 1, seeds_needed), ("14b", 1, random_cells_needed), ("16", 1, half_the_deviation), ("16", 2, one_cell_once),
    ("A", 2, shares_of_parameters), ("A", 3, share_of_nlrn)])
def test_the_numbers_of_a_solution(page, number, computed):
    text, wanted = solution(page, number), computed()
    assert wanted and not [number for number in wanted if number not in text], text


@pytest.mark.parametrize("page, number, source, patterns", [
    ("05", 2, "05c_batch_norm", [r"\| IR-NAS (?:\| [\d.]+ ){5}\| ([\d.]+) \| ([\d.]+) \|\n",
                                 r"\| IR-NAS \+ residual (?:\| [\d.]+ ){5}\| ([\d.]+) \| ([\d.]+) \|\n"]),
    ("05c", 1, "05c_batch_norm", [r"DnCNN +input brighter by 0\.200, output by ([\d.]+)"]),
    ("05", 1, "10b_what_a_recipe_is_worth", [r"paper +after 1,000 iterations: strict ([\d.]+) dB"]),
    ("06", 2, "table1.md", [r"protocol strict, sigma 30.*?IR-NAS [^|]*\| 29\.14 \| ([\d.]+)",
                            r"protocol strict, sigma 30.*?IR-NAS \+ residual[^|]*\|  \| ([\d.]+)"]),
    ("10", 1, "10_tables_5_6_ablation", [
        r"IR-NAS: PSNR .*? ± ([\d.]+) dB", r"with the input added: .*? ± ([\d.]+) dB",
        r"that is .*? ± ([\d.]+) dB more"]),
    ("10b", 1, "10b_what_a_recipe_is_worth", [
        r"IR-NAS \+ residual, 1.*?\| lambda 0 \| \d (?:\| [\d.]+ ){2}\| -([\d.]+) ±",
        r"DnCNN, 1.*?\| lambda 0 \| \d (?:\| [\d.]+ ){2}\| -([\d.]+) ±",
        r"4 crops of 64 \| \d (?:\| [\d.]+ ){2}\| -([\d.]+) ±"])])
def test_a_solution_quotes_what_a_page_measured(page, number, source, patterns):
    text = solution(page, number)
    assert not [found for found in on_page(source, *patterns) if found not in text]


def test_brightness_gets_through_the_padding_alone_as_page_5c_says():
    result = results.best(results.load(ROOT / "checkpoints" / "results"), "denoising", "IR-NAS*", 50)
    network = runs.trained_network(result, runs.SHIPPED).train()
    noisy = Patches(datasets.load("denoising", "embedded").test, crop=64, sigmas=(50,)).batch(4, 0, 0)[0]
    moved = {}
    for network.stem[0][0].padding_mode in ("zeros", "reflect"):
        with torch.no_grad():
            moved[network.stem[0][0].padding_mode] = (network(noisy + 0.2) - network(noisy)).mean().item()
    assert moved["zeros"] > 0.05 and abs(moved["reflect"]) < 1e-4


def test_the_method_of_page_14b_beats_random_search_where_edges_add_up():
    (code,) = re.findall(r"```python\n(.+?)\n```", prose("14b_comparing_searches"), re.DOTALL)
    rng = np.random.default_rng(0)
    alphas = torch.randn(200, len(edges(5)), len(OPERATIONS), generator=torch.Generator().manual_seed(0))
    cells = [decode.derive_cell(alpha) for alpha in alphas]
    codes = np.array([searching.encode(cell) for cell in cells])
    psnr = codes @ rng.normal(size=codes.shape[1])
    scope = {"searching": searching, "np": np,
             "table": searching.Table(cells, psnr + 0.3 * rng.normal(size=200), psnr, codes)}
    exec(code, scope)
    assert scope["after"]["line"].mean() < np.quantile(scope["after"]["random"], 0.25)


def test_the_written_exercises_are_run_by_the_same_name_everywhere():
    listed = subprocess.run([sys.executable, "-c", "import exercises; print(*exercises.NAMES)"], cwd=NOTEBOOKS,
                            capture_output=True, text=True, check=True).stdout.split()
    on_pages = {name for page in WITH_EXERCISES for name in re.findall(r"`exercises/(\w+)\.py`", prose(page))}
    assert on_pages == set(listed)
