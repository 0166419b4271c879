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
# # 7. Table 2: SIM1800, noise through a simulated camera
#
# **What you will learn.** Why a method made for white noise fails on noise that a camera has processed, how much it
# helps to tell it more, and where trained networks gain. (Ours were trained very briefly, which ranks nothing.)
#
# **Why it matters.** Nobody's photograph has white noise of known sigma. A sensor's noise is demosaiced, converted to
# display colours, gamma-corrected and compressed before anyone sees it.
#
# **What it needs.** [Notebook 1](01_datasets.ipynb), which shows the camera, what its processing does to noise, and
# what PSNR, in decibels (dB), and SSIM are. The page is made from stored results: no data are needed.
#
# ## What we found
#
# - In the paper's own Table 2, IR-NAS has the highest SSIM (.8326), but NLRN and N3Net are ahead of it in PSNR.
# - The camera's error is noise and lost detail. Its neighbouring pixels are correlated, 0.49 over all test pairs
#   ([notebook 1](01_datasets.ipynb)), so that averaging two of them leaves 75% of its power, not 50%. And it shifts the
#   mean of each colour channel, nearly all by its noise (presumably since the tone curve and the cut at black turn
#   noise of mean zero into a shift): that costs the input 0.31 dB on average, up to 1.58 dB.
# - **Correlation defeats colour BM3D, lost detail or not: most of all that between the colour channels.** Told the true
#   sigma, BM3D gains 8.25 ± 0.58 dB on white noise as strong as the camera's; 2.26 ± 0.22 dB if its channels go
#   together like the camera's; 1.13 ± 0.11 dB if its pixels do so, too; and 0.77 ± 0.10 dB on the camera's noise
#   itself, added to clean pictures (95% intervals over 43 pairs).
# - **Telling BM3D the error's spectrum helps where noise is most of the error**: by 0.67 ± 0.15 dB over sigma alone.
#   Where most of it is lost detail, it does not help (-0.03 ± 0.09 dB).
# - **Trained networks do better there, too**: against BM3D with the true sigma they stand 0.99 ± 0.54 to 1.32 ± 0.62 dB
#   higher where noise is most of the error than elsewhere (three networks). Whether they are ahead there is less sure:
#   N3Net by 0.62 ± 0.53, IR-NAS + residual by 0.51 ± 0.48, DnCNN by 0.26 ± 0.54 dB, over pairs; each is one short run,
#   and another seed may move it by as much. Over all pairs the three are behind BM3D with the spectrum, by 0.29 ± 0.28
#   to 0.54 ± 0.34 dB.
# - **The networks lead where the channels' means are shifted** (Spearman's correlation of lead and shift 0.82 to 0.88).
#   With the shift taken off all results, the leads where noise is most are about 0.2 dB smaller: a third of those of
#   N3Net and IR-NAS + residual, with intervals from nothing to most of them. What is left goes with the shift all the
#   same (0.68 to 0.76).
# - Lost detail limits what denoising can gain: the same camera's pictures without noise are 3.86 ± 0.92 dB better.
# - After 0.01% of the paper's training three networks are 0.41 to 0.67 dB above their input on all 212 test pairs (one
#   seed each); BM3D, told what is estimated from the picture, is 0.05 dB above it. No ranking of the networks follows.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import display
from scipy import stats

from irnas_lib import files
from irnas_lib.benchmarks import camera_noise
from irnas_lib.data import camera, datasets
from irnas_lib.experiments import runs, times
from irnas_lib.figures import plots
from irnas_lib.pipeline import profiles
from irnas_lib.tables import frames, printed, writers

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## A camera's error is correlated
#
# The paper's authors built SIM1800 from photographs of MIT-Adobe FiveK and never published it. What is measured here is
# another set of the same making, from BSD500: 1,600 training pairs, and 212 test pairs of 256x256 pixels in colour,
# from 178 photographs.
#
# A method for white noise averages pixels that should look alike, and relies on their errors cancelling. To see what a
# camera does instead, take a photograph that every reader has through the same simulated camera, with its sensor's
# noise and without. The picture without noise, minus the clean one, is the detail that the camera has lost. The noisy
# one minus that without noise is what has become of the noise.

# %% alt="A camera's error: lost detail along edges, and blotchy noise, strong in dark places; white noise: grain"
photograph = datasets.load("sim1800", "embedded").test[0].clean
parameters = camera.draw_parameters(np.random.default_rng(0))
linear = camera.srgb_to_linear(photograph / 255)
noisy = camera.photograph(linear, parameters, np.random.default_rng(1)).astype(float)
quiet = camera_noise.without_noise(photograph, parameters).astype(float)
fields = {"error": noisy - photograph, "lost detail": quiet - photograph, "noise alone": noisy - quiet}
fields["white noise as strong"] = np.random.default_rng(0).normal(0, fields["noise alone"].std(), photograph.shape)
crop = np.s_[80:176, 80:176]
fig, axes = plt.subplots(1, 5, figsize=(plots.COLUMN, 2), layout="constrained")
axes[0].imshow(photograph[crop])
axes[0].set_title("clean", fontsize=10)
for ax, (name, field) in zip(axes[1:], fields.items()):
    ax.imshow(field[crop][..., 1], cmap="gray", vmin=-60, vmax=60, interpolation="nearest")
    ax.set_title(name, fontsize=10)
for ax in axes:
    ax.set_axis_off()
plt.show()
for name, field in fields.items():
    error = torch.from_numpy(field / 255).movedim(-1, 0).unsqueeze(0)
    rho = camera_noise.correlation(torch.zeros_like(error), error)
    print(f"{name + ':':23}correlation {rho:z.2f} between neighbours, so that two of them keep {(1 + rho) / 2:.0%} of "
          "the power")

# %% [markdown]
# The green channel is shown, from -60 (black) to 60. How is the power of each field spread over frequencies? At a
# frequency of 0.1 a wave is ten pixels long, at 0.5 two.

# %% alt="Power against frequency: white noise is level; a camera's noise has 60 times as much in long waves as white"
frequency = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, photograph.shape[:2]), indexing="ij"))
edges = np.linspace(0, 0.5, 26)
fig, ax = plt.subplots(figsize=(5.6, 2.8), layout="constrained")
for style, (name, field) in zip(("k-", "k:", "k--", "C0-"), fields.items()):
    power = np.abs(np.fft.fft2(field[..., 1] - field[..., 1].mean())) ** 2 / frequency.size
    ring = [power[(frequency > low) & (frequency <= high)].mean() for low, high in zip(edges, edges[1:])]
    ax.semilogy((edges[1:] + edges[:-1]) / 2, ring, style, label=name)
ax.set(xlabel="frequency (waves a pixel)", ylabel="power (grey levels squared)", xlim=(0, 0.5))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# **What to notice.** White noise is a fine grain, and its power is the same at all frequencies. What the camera leaves
# of the noise has blotches and stripes of several pixels: most of its power lies in long waves, which look like a
# picture. It is stronger in some places than in others. The detail that the camera has smoothed away follows edges, and
# removing noise cannot give it back.

# %% [markdown]
# ## Which of the two defeats BM3D?
#
# BM3D has to be told sigma. Every fifth test pair was restored with the true standard deviation of its error, so that a
# wrong estimate is no excuse. The same clean pictures were restored with other errors: the camera's noise alone (the
# noisy picture minus that of the same camera without noise, added to the clean one, so that no detail is lost), and
# white noise as strong as each of these two. Two more errors tell what it is about the noise. One is the camera's noise
# with its *phases redrawn*: each frequency keeps its strength and is moved by a random shift, the same in all channels.
# Such noise is as correlated over pixels and channels as before, but no longer stronger in one place of the picture
# than in another. The other is white over the pixels, while its channels have the covariance of the camera's. (`python
# -m irnas_lib.benchmarks.camera_noise`)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
def with_interval(gains):
    """The mean of some gains in dB, and half its 95% interval."""
    return "{:+.2f} ± {:.2f}".format(*camera_noise.interval(list(gains)))


def over(ours, theirs):
    """What one column of scores has over another, with its interval."""
    return with_interval(np.subtract(ours, theirs))


found = {} if profile == "smoke" else camera_noise.load()
names = {"camera": "the camera's error", "noise": "its noise alone",
         "stationary": "its noise, phases redrawn", "channels": "white, its channels correlated alike",
         "white": "white noise as strong as the error",
         "weak_white": "white noise as strong as its noise"}
columns = {noise: pd.DataFrame(rows) for noise, rows in found.items()}
photographs = len({row["pair"].partition("-")[2] for row in found.get("camera", ())})
interval = f"± gives the half-width of the 95% confidence interval over the pairs, of {photographs} photographs."
display(frames.show(pd.DataFrame([{
    "error": names[noise], "correlation of neighbours": f"{rows.correlation.mean():z.2f}",
    "true sigma": f"{rows.deviation.mean():.1f}",
    "sigma as estimated": f"{rows.estimate.mean():.1f}", "input (dB)": f"{rows.input.mean():.2f}",
    "BM3D, told the true sigma, gains (dB)": over(rows.told_deviation, rows.input)}
    for noise, rows in columns.items()]), "Colour BM3D on six errors of the same pictures; sigma on the 0-255 scale",
                    f"{len(found.get('camera', ()))} pairs. {interval}"))
if found:
    rows = columns["camera"]
    lost = 10 ** ((rows.input - rows.without_noise) / 10)
    print(f"the camera without noise has {rows.without_noise.mean():.2f} dB, {over(rows.without_noise, rows.input)} "
          f"over the noisy one;\nlost detail alone has {lost.min():.0%} to {lost.max():.0%} of the error's power")
    shift = 1 - rows.deviation ** 2 / (255 ** 2 * 10 ** (-rows.input / 10))  # sigma is about the mean of each channel
    cost = -10 * np.log10(1 - shift.clip(lower=0))
    quiet = np.array([row["without_noise"] for row in rows.at_the_means]) - rows.without_noise
    print(f"the shift of the channels' means costs the input {cost.mean():.2f} dB on average, up to {cost.max():.2f} "
          f"dB,\nand the camera without noise {quiet.mean():.2f} dB, up to {quiet.max():.2f} dB")
    steps = [columns[name].told_deviation - columns[name].input
             for name in ("weak_white", "channels", "stationary", "noise")]
    words = "channels go together", "pixels do, too", "strength differs over the picture"
    for what, before, after in zip(words, steps, steps[1:]):
        print(f"once {what}, BM3D's gain changes by {over(after, before)} dB")

# %% [markdown]
# **What to notice.**
#
# - The camera's noise itself defeats BM3D: on this noise alone, without any lost detail, BM3D gains 0.77 ± 0.10 dB,
#   where white noise of the same strength lets it gain 8.25 ± 0.58 dB.
# - What does it? From white noise to the camera's in three steps: channels that go together cost 6.00 ± 0.43 dB of the
#   gain, pixels that do a further 1.12 ± 0.15 dB, and unequal strength 0.37 ± 0.09 dB. (In another order the shares may
#   differ; pixels alone were not tried.)
# - Presumably BM3D filters too little. It works on luminance, a mean of the channels, in which independent noise of
#   three channels cancels to about a third of its power. Noise that is alike in all channels does not cancel there, and
#   correlated pixels form blotches; both look like the picture, and the one sigma that it is told says nothing of
#   either.
# - Lost detail limits every method that only removes noise: it has 6% to 92% of the error's power, and a method that
#   removed all noise and nothing else would gain 3.86 ± 0.92 dB.
# - The sigma that scikit-image estimates from the picture, by which BM3D is run in the table and the figure at the end
#   of this page, is far too small: 4.7 instead of 12.5 grey levels for the noise alone. It is taken from differences of
#   neighbours, which correlated noise keeps small. On white noise it is too large by less than a tenth.
# - At the same sigma the input with white noise has the higher PSNR, for two reasons: white noise leaves the range of a
#   picture and is cut off there, and sigma is taken about the mean of each channel, which the camera shifts, too.
#
# ## Does it help to know the spectrum, or to be trained?
#
# BM3D can be told a power spectrum in place of sigma. Here it gets the mean spectrum of the errors of 200 training
# pairs, scaled to the true deviation of each test picture. Beside it stand, on the same pairs, the networks that were
# trained for this task: on 4 million pixels each, from one seed, and they are told nothing about the noise. (`IR-NAS +
# residual` adds its input to its output.)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
TOLD, SPECTRUM = "BM3D, told the true sigma", "BM3D, told the spectrum"
NETWORKS = "IR-NAS + residual", "N3Net", "DnCNN"  # those that are ahead of their input
if found:
    keys = {TOLD: "told_deviation", SPECTRUM: "told_spectrum"}
    methods = pd.DataFrame(rows.networks.tolist()).assign(**{name: rows[key] for name, key in keys.items()})
    at_means = pd.DataFrame(rows.at_the_means.tolist()).rename(columns={key: name for name, key in keys.items()})
    best_first = methods.mean().sort_values(ascending=False).index
    display(frames.show(pd.DataFrame([{
        "method": name, "PSNR (dB)": f"{methods[name].mean():.2f}",
        "over the input (dB)": over(methods[name], rows.input),
        "over BM3D, told sigma (dB)": over(methods[name], methods[TOLD]) if name != TOLD else "",
        "over it, at the true means (dB)": over(at_means[name], at_means[TOLD]) if name != TOLD else "",
        "over BM3D, told the spectrum (dB)": over(methods[name], methods[SPECTRUM]) if name != SPECTRUM else ""}
        for name in best_first]), f"{len(rows)} pairs of SIM1800 (rebuilt from BSD500), the same for all", interval))
else:
    print("not run")

# %% [markdown]
# Some networks are behind their input; the three that are not are looked at more closely. *At the true means*: each
# channel of a result is shifted to the mean of the clean picture before PSNR is taken, for the method and for BM3D
# alike. Where do the methods gain? Against the share of the error's power that is lost detail, and against how many
# decibels the shift of the channels' means costs the input:

# %% alt="Leads over BM3D, against the share of lost detail they fall, against the shift of the means they rise"
if found:
    leads = {name: methods[name] - methods[TOLD] for name in (*NETWORKS, SPECTRUM)}
    fig, axes = plt.subplots(1, 2, figsize=(plots.COLUMN, 3.4), sharey=True, layout="constrained")
    for ax, x in zip(axes, (lost, cost)):
        for marker, colour, (name, lead) in zip("osDx", ("C0", "C1", "C2", "k"), leads.items()):
            ax.plot(x, lead, marker, color=colour, markersize=4, markerfacecolor="w", label=name)
        ax.axhline(0, color="0.6", linewidth=0.8)
    axes[0].set(xlabel="lost detail, share of the error's power", ylabel="over BM3D, told the true sigma (dB)")
    axes[1].set_xscale("function", functions=(np.sqrt, np.square))
    axes[1].set(xlabel="what the shift of the means costs the input (dB; root scale)", xlim=(0, None),
                xticks=(0, 0.05, 0.2, 0.5, 1, 1.5))
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    plt.show()

    def order(x, y):
        """Spearman's correlation, in words."""
        rank = stats.spearmanr(x, y)
        return f"{rank.statistic:+.2f} (p = {rank.pvalue:.1g})"

    def partial(x, y, *given):
        """Spearman's correlation of two columns at fixed others: of the ranks, what a straight line through those of
        the others leaves."""
        x, y, *given = (stats.rankdata(column) for column in (x, y, *given))
        others = np.column_stack([np.ones(len(x)), *given])
        left = [column - others @ np.linalg.lstsq(others, column, rcond=None)[0] for column in (x, y)]
        return f"{np.corrcoef(*left)[0, 1]:+.2f}"

    noisier, parts = lost < 0.5, {}
    for name, lead in leads.items():
        parts |= {name: lead, f"{name}, at the true means": at_means[name] - at_means[TOLD]}
    display(frames.show(pd.DataFrame([{
        "lead of": name, f"noise is most ({noisier.sum()} pairs)": with_interval(lead[noisier]),
        f"lost detail is ({(~noisier).sum()})": with_interval(lead[~noisier]),
        "over the spectrum, noise is most": over(methods[name][noisier], methods[SPECTRUM][noisier])
        if name in methods and name != SPECTRUM else "",
        "correlation with lost detail": order(lost, lead), "with the shift": order(cost, lead)}
        for name, lead in parts.items()]), "Lead (dB) over BM3D, told the true sigma, by what has most of the error's "
                                           "power", f"correlation: Spearman's. {interval}"))
    for name in NETWORKS:
        less = (at_means[name] - at_means[TOLD] - leads[name])[noisier]
        apart = stats.ttest_ind(leads[name][noisier], leads[name][~noisier], equal_var=False).confidence_interval()
        print(f"{name}: lead where noise is most less lead elsewhere {np.mean(apart):+.2f} ± {np.ptp(apart) / 2:.2f} "
              f"dB;\n  where noise is most, at the true means its lead is {with_interval(less)} dB, pair by pair")
    for name in NETWORKS:
        print(f"{name}: correlation of lead and shift {partial(cost, leads[name], lost, rows.input)} at fixed lost "
              f"detail and input PSNR;\n  of lead and lost detail {partial(lost, leads[name], cost, rows.input)} at "
              "fixed shift and input PSNR")
    print(f"lost detail and what the shift costs: {order(lost, cost)}; the input's PSNR and the shift: "
          f"{order(rows.input, cost)}")
    for pair in leads["N3Net"].nsmallest(2).index:
        print(f"{rows.pair[pair]}: input {rows.input[pair]:.2f} dB, BM3D {rows.told_deviation[pair]:.2f}; over BM3D, "
              "and at the true means:\n  " + ", ".join(
                  f"{name} {leads[name][pair]:+.2f} ({at_means[name][pair] - at_means[TOLD][pair]:+.2f})"
                  for name in NETWORKS))
    fresh = np.arange(len(rows)) % 6 > 0  # the guess was made on every sixth
    print(f"correlation with lost detail on the {fresh.sum()} pairs that the guess was not made on: "
          + ", ".join(f"{stats.spearmanr(lost[fresh], lead[fresh]).statistic:.2f}" for lead in leads.values()))

# %% [markdown]
# **What to notice.**
#
# - Over all pairs the spectrum adds 0.36 ± 0.14 dB to the true sigma, so that BM3D gains 1.09 of the 3.86 dB that a
#   method would gain that removes all noise and nothing else. What it adds, it adds where noise is most of the error.
# - Each network's lead falls with the share of lost detail, as the gain by the spectrum does: where noise is most of
#   the error, there is more to remove. (That was guessed from eight of these pairs and holds on the other 35.)
# - The networks' leads also grow with the shift of the means, which the gain by the spectrum does less. Do the networks
#   just correct the shift, which BM3D cannot? In part: at the true means the leads where noise is most are smaller by
#   0.19 ± 0.22, 0.20 ± 0.19 and 0.17 ± 0.28 dB, which is 37, 32 and 65% of them. What is left still goes with the shift
#   (0.68 to 0.76). Pictures with a large shift have noisier inputs and less lost detail (correlations of -0.71 and
#   -0.46), but that is not all of it: at fixed lost detail and input PSNR lead and shift still go together (0.69 to
#   0.74), and so do lead and lost detail at fixed shift (-0.45 to -0.77).
# - On two pairs all three networks are 2.4 to 4 dB behind BM3D. They are among the cleanest inputs, with hardly any
#   shift. A third to two thirds of the shortfall is a shift of the means that the networks bring in themselves; at the
#   true means they are 0.9 to 1.8 dB behind. Presumably the rest is detail that they smooth, since nothing tells them
#   how little noise there is.
# - None of the networks is seen to be ahead of BM3D with the spectrum, over all pairs or at the true means. Each is of
#   one seed, of which the intervals know nothing, and saw 4 million pixels.
#
# ## Gain over the noisy input
#
# PSNR and SSIM are of sRGB in [0, 1], all channels together, of whole pictures (`strict`). First the paper's own table,
# on its own pictures:

# %%
as_printed = {}
for item in printed.load():
    if item.where == "2":
        as_printed.setdefault(item.system, {"system": item.system})[f"{item.metric} printed"] = item.value
display(frames.show(pd.DataFrame(as_printed.values()), "Table 2 as printed, on the paper's SIM1800"))

# %% [markdown]
# In PSNR N3Net and NLRN are 0.39 and 0.30 dB ahead of IR-NAS; in SSIM IR-NAS leads. Now ours. The pictures are
# different, so **no difference between the two tables means anything**.

# %%
results, smoke = runs.all_results(profile), profile == "smoke"
gains = frames.over_input(results, "sim1800", smoke)
if not gains.empty:
    del gains["PSNR printed"]  # of other pictures
warning = f"{writers.SMOKE_WARNING} " if smoke else ""
display(frames.show(gains, f"{warning}SIM1800 (rebuilt from BSD500), 212 test pairs, by PSNR"))

# %% [markdown]
# **What to notice** after 4 million pixels, one seed each.
#
# - Three networks are above their input, by 0.41 to 0.67 dB (for intervals on fewer pairs, see above). Their order is
#   no ranking: two runs of one recipe can differ by 0.4 dB for rain and by 0.8 dB for white noise (95%, pages
#   [8](08_table3_rain800.ipynb) and [6](06_table1_bsd500.ipynb)).
# - IR-NAS as published is below its input. It does not add its input to its output, and has learned neither the mean of
#   each colour channel ([notebook 5c](05c_batch_norm.ipynb) shows why) nor the colour of each place: with the means set
#   right it is still 2.40 of 4.46 dB behind BM3D (above), and its butterfly below is nearly grey. With the input added
#   it is among the first.
# - NLRN is below its input too. Its output shows the seams of its tiles of 43x43, which hardly overlap here ([all
#   systems](../figures/figure4.png)).
#
# The whole table with its notes: [table2.md](../figures/table2.md), [table2.csv](../figures/table2.csv),
# [table2.tex](../figures/table2.tex).

# %% jupyter={"source_hidden": true} tags=["hide-input"]
for path in writers.write(2, results, files.run_folder(profile) / "figures", smoke, {} if smoke else times.load()):
    print("written:", path.name)

# %% [markdown]
# ## Figure 4: what it looks like
#
# Crops of two test pairs, by BM3D, by the two best networks and by IR-NAS as published. ([All
# systems](../figures/figure4.png))

# %% alt="Crops of a helicopter and a butterfly: noisy, by BM3D and three networks, clean; IR-NAS loses colour"
systems_shown = ("BM3D", "N3Net", "IR-NAS", "IR-NAS + residual")
panel_folder = runs.output_folder(profile) / "panels"
display(plots.restored_panel(panel_folder if panel_folder.is_dir() else runs.SHIPPED / "panels", "sim1800",
                             profiles.datasets(profile)["sim1800"], only=systems_shown))

# %% [markdown]
# **What to notice.** BM3D, told the sigma that is estimated, which is far too small, leaves the blotches almost as they
# were. N3Net and IR-NAS + residual smooth them on the butterfly's wing. On the helicopter they change little, and N3Net
# adds coloured fringes to its edges. IR-NAS as published has lost most of the colour, and sets bright specks.

# %% [markdown]
# **What to take away.** Noise that has been through a camera is no longer white, and a part of the error is no noise at
# all. A method for white noise gains a small part of its usual gain there, even if told the right strength, mostly
# because the noise is alike in the colour channels; told the spectrum it gains more where noise is most of the error.
# The three of our five networks that are ahead of their input gain there as well; ours, trained for very little, are
# not seen to gain more. A gain is to be read against what a picture without noise, but with the lost detail, would
# have. Further reading: [the camera simulator](https://arxiv.org/abs/1904.08825) from which the paper made SIM1800, and
# [unprocessing pictures](https://arxiv.org/abs/1811.11127), which inverts such a pipeline.

# %% [markdown]
# ## Exercises
#
# **1** (medium). The mean of n pixels with white noise has 1/n of the noise power. With the correlations that [notebook
# 1](01_datasets.ipynb) prints, how much is left by the mean of two neighbours, and by that of nine in a row? And why
# does BM3D filter too little?
#
# <details><summary>Solution</summary>
#
# The mean of n errors of variance 1 has the variance (n + 2 Σ (n - k) ρ(k)) / n², with k from 1 to n - 1. With 0.49
# between neighbours two neighbours keep (1 + 0.49) / 2 = 75% instead of 50%, and nine in a row 32% instead of 11%. What
# is left forms blotches of several pixels, which look like detail of the picture and are kept as such. And noise that
# is estimated from differences of neighbours seems weaker than it is, so that the method filters too little.
#
# </details>
#
# **2** (easy). Reduce a noisy picture to half its size by averaging blocks of 2x2 pixels. By how many dB does the error
# fall if it is white, and by how many on a camera's picture? Take 0.49 for the correlation of pixels side by side, and
# its square for that of diagonal ones.
#
# <details><summary>Solution</summary>
#
# White noise keeps 1/4 of its power: 6.0 dB. Of the six pairs in a block four are side by side and two are diagonal, so
# the camera's noise keeps (4 + 2 (4 · 0.49 + 2 · 0.24)) / 16 = 56%: 2.6 dB. A small version of a photograph looks
# cleaner, but by less than one would expect.
#
# </details>
#
# **3** (medium). Make noise in one dimension, correlate it by averaging three neighbours, and estimate its standard
# deviation as for white noise, from the differences of neighbours: $\hat\sigma = \mathrm{std}(x_{i+1} - x_i) / \sqrt
# 2$. By which factor is the estimate too small? Predict it from the correlation first.
#
# <details><summary>Solution</summary>
#
# The variance of a difference is 2 σ² (1 - ρ), so the estimate is σ √(1 - ρ). Averages of three share two of three
# numbers with their neighbours: ρ = 2/3, and the factor is √(1/3) = 0.58.
#
# ```python
# white = np.random.default_rng(0).normal(size=100_000)
# smooth = np.convolve(white, np.ones(3) / 3, mode="valid")
# for noise in (white, smooth):
#     print(f"{np.diff(noise).std() / 2 ** 0.5 / noise.std():.2f}")
# ```
#
# It prints 1.00 and 0.58. With the camera's 0.49 this gives a factor of 0.71; the estimate above, 4.7 of 12.5, is
# smaller still, because scikit-image takes it from the finest diagonal wavelet coefficients, in which less of such
# noise is left.
#
# </details>
