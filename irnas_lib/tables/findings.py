"""The five findings that matter most, in words, with their numbers: what the start page shows."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from scipy import stats

from irnas_lib import decode
from irnas_lib.experiments import cell_table, table_facts
from irnas_lib.experiments.config import pixels
from irnas_lib.experiments.results import best, has_usual_loss
from irnas_lib.tables.verdicts import Evidence, Verdict, over_seeds, share, verdicts


class Finding(NamedTuple):
    """In words: what was found, the numbers, how far they can be trusted."""

    finding: str
    measured: str
    strength: str


def five(known: Evidence) -> list[Finding]:
    """Five findings on the paper; those for which something is not measured are left out."""
    claims = {verdict.claim: verdict for verdict in verdicts(known)}
    return [found for make in (_pictures, _tiles, _bm3d, _search, _schedule) if (found := make(known, claims))]


def _pictures(known: Evidence, claims: Mapping[str, Verdict]) -> Finding | None:
    bm3d, wnnm = (claims[f"{system} at sigma 50, pictures of half size"] for system in ("BM3D", "WNNM"))
    whole = best(known.results, "denoising", "BM3D", 50, "strict")
    if whole is None or math.isnan(bm3d.measured + wnnm.measured):
        return None
    score = whole.metrics["strict"]
    return Finding("At sigma 50 the paper's scores of BM3D and WNNM, two classical methods, are within "
                   f"{max(abs(claim.measured - claim.printed) for claim in (bm3d, wnnm)):.2f} dB of those on pictures "
                   "of half size.",
                   f"BM3D: printed {bm3d.printed:.2f} dB; {bm3d.measured:.2f} dB on pictures that are "
                   "reduced to half their width and height before noise is added, and "
                   f"{score['psnr']:.2f} dB on whole ones. WNNM: printed {wnnm.printed:.2f} dB, {wnnm.measured:.2f} "
                   "dB on pictures of half size.",
                   f"Strong for these two: {score['pictures']} pictures, nothing trained, and the test script of "
                   "NLRN, from the same table, reads pictures of half size. The test program of the paper's own "
                   "authors takes whole ones.")


def _tiles(known: Evidence, claims: Mapping[str, Verdict]) -> Finding | None:
    alike = [result for result in known.results if (result.task, result.sigma, result.recipe) == (
        "denoising", 50, "matched") and has_usual_loss(result) and {"redrawn", "strict"} <= result.metrics.keys()]
    lifts, similar = ([result.metrics["redrawn"][name] - result.metrics["strict"][name] for result in alike]
                      for name in ("psnr", "ssim"))
    if not lifts:
        return None
    falls = sorted({result.system for result, change in zip(alike, similar) if change < 0})
    return Finding("At sigma 50, noise drawn anew in overlapping tiles raises the PSNR of every network "
                   "that was measured.",
                   f"It rises by {min(lifts):.2f} to {max(lifts):.2f} dB"
                   f"{'; the SSIM of ' + ' and '.join(falls) + ' falls' if falls else ''}. (The paper's lead over "
                   f"N3Net is {claims['IR-NAS over N3Net, as published'].printed:.2f} dB.)",
                   f"Strong: {len(lifts)} short training runs of {len({result.system for result in alike})} systems, "
                   "and a formula that predicts the gain of one network, DnCNN. "
                   "Both versions of the authors' test program measure in this way; that the printed scores come "
                   "from it is inferred.")


def _bm3d(known: Evidence, claims: Mapping[str, Verdict]) -> Finding | None:
    whole = [result for result in known.results if (result.task, result.sigma) == ("denoising", 50)
             and result.metrics.get("strict", {}).get("pictures") == 200]
    bm3d = next((result for result in whole if result.system == "BM3D"), None)
    trained = [result for result in whole if result.iterations]
    if bm3d is None or not trained:
        return None
    first = max(trained, key=lambda result: result.metrics["strict"]["psnr"])
    (classical, network), (usual, similar) = ([result.metrics["strict"][name] for result in (bm3d, first)]
                                              for name in ("psnr", "ssim"))
    seeds, of_ssim = (over_seeds(known.cells["denoising"], trainings=1, metric=name) for name in ("psnr", "ssim"))
    name = "the paper's network with its input added to its output, " if first.system == "IR-NAS + residual" else ""
    within = abs(classical - network) <= seeds and abs(usual - similar) <= of_ssim
    return Finding(f"{'No' if classical > network else 'A'} network trained for the paper's tables is ahead of BM3D "
                   "in PSNR.",
                   f"At sigma 50 BM3D, which learns nothing, has {classical:.2f} dB. The best of {len(trained)} "
                   f"networks is {first.system}, {name}with {network:.2f} dB. In SSIM, which compares local "
                   f"patterns, the network has {similar:.3f} and BM3D {usual:.3f}.",
                   f"Weak: one seed each. One run lies within ± {seeds:.2f} dB and ± {of_ssim:.3f} of SSIM of the mean "
                   f"over seeds{', more than either gap' if within else ''}. The networks have seen "
                   f"{share(pixels(first) or 0)}; so this is about short training runs.")


def _search(known: Evidence, claims: Mapping[str, Verdict]) -> Finding | None:
    table = cell_table.read("denoising")
    psnr = table_facts.means(table, cell_table.PLANS["denoising"].pixels)
    found, drawn = ([psnr[name] for name in psnr if name.startswith(kind)] for kind in ("searched", "random"))
    if min(len(found), len(drawn)) < 2 or not known.searches:
        return None
    low, high = stats.ttest_ind(found, drawn, equal_var=False).confidence_interval()
    worse = sum(each < psnr["IR-NAS"] for each in drawn) / len(drawn)
    return Finding("The cells of searches that decide are better than random ones, after very short training.",
                   f"{len(found)} of them have {(low + high) / 2:+.2f} dB over {len(drawn)} random cells ({low:.2f} to "
                   f"{high:.2f} with 95% confidence); the published cell is better than {worse:.0%} of these.",
                   f"Fair: {min(record['iterations'] for record in table):,} steps of training, three seeds of each "
                   "cell. For the time of one search random search finds as good a cell, and what a long training "
                   "would rank first is not known.")


def _schedule(known: Evidence, claims: Mapping[str, Verdict]) -> Finding | None:
    entropies = [decode.undecided(torch.tensor(search["alpha"], dtype=torch.float64).softmax(dim=1)).mean().item()
                 for search in known.searches]
    if not entropies:
        return None
    return Finding("A short search at the paper's learning rates leaves its candidates with nearly equal weights.",
                   "At its end the six candidate operations of an edge have weights of nearly 1/6 each, so the choice "
                   f"rests on very small differences. (The entropy is {min(entropies):.3f} to {max(entropies):.3f}; it "
                   "is 1 where all are equal.)",
                   f"Fair: {len(entropies)} searches, far shorter than the paper's. The last layer of our supernet "
                   "learns more slowly than printed, because at the printed rate its loss diverges.")
