"""The five findings that matter most, in words, with their numbers: what the start page shows."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch

from irnas_lib import decode
from irnas_lib.experiments import cells, table_facts
from irnas_lib.experiments.config import pixels
from irnas_lib.experiments.results import best, has_usual_loss
from irnas_lib.tables.verdicts import Evidence, Verdict, over_seeds, psnrs, share, verdicts


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
    lead = claims["WNNM over BM3D at sigma 50"]
    if whole is None or math.isnan(bm3d.measured + wnnm.measured):
        return None
    score = whole.metrics["strict"]
    return Finding("The paper's Table 1 compares scores of different pictures.",
                   f"BM3D, printed {bm3d.printed:.2f} dB: {bm3d.measured:.2f} on pictures of half size, "
                   f"{score['psnr']:.2f} on whole ones. WNNM, printed {wnnm.printed:.2f}: {wnnm.measured:.2f} on those "
                   "of half size.",
                   f"Strong: {score['pictures']} pictures, nothing trained. Half size is inferred from BM3D, and WNNM "
                   f"confirms it. But BM3D is still {abs(bm3d.measured - bm3d.printed):.2f} dB off, and WNNM leads it "
                   f"by {lead.measured:.2f} ± {lead.both:.2f} dB, where the paper prints {lead.printed:.2f}.")


def _tiles(known: Evidence, claims: Mapping[str, Verdict]) -> Finding | None:
    alike = [result.metrics for result in known.results if (result.task, result.sigma, result.recipe) == (
        "denoising", 50, "matched") and has_usual_loss(result)]
    lifts = [scores["redrawn"]["psnr"] - scores["strict"]["psnr"] for scores in alike
             if {"redrawn", "strict"} <= scores.keys()]
    if not lifts:
        return None
    return Finding("Noise drawn anew in overlapping tiles flatters every network.",
                   f"Measured in this way, as in the authors' test program, unchanged networks gain {min(lifts):.2f} "
                   f"to {max(lifts):.2f} dB. The printed lead of IR-NAS over N3Net is "
                   f"{claims['IR-NAS over N3Net, as published'].printed:.2f} dB.",
                   f"Strong: {len(lifts)} training runs at sigma 50, and a formula that predicts the gain of DnCNN. "
                   "That the paper measured in this way is inferred.")


def _bm3d(known: Evidence, claims: Mapping[str, Verdict]) -> Finding | None:
    whole = [result for result in known.results if (result.task, result.sigma) == ("denoising", 50)
             and result.metrics.get("strict", {}).get("pictures") == 200]
    bm3d = next((result for result in whole if result.system == "BM3D"), None)
    trained = [result for result in whole if result.iterations]
    if bm3d is None or not trained:
        return None
    first = max(trained, key=lambda result: result.metrics["strict"]["psnr"])
    scores = [result.metrics["strict"]["psnr"] for result in (bm3d, first)]
    seeds, gap = over_seeds(known.cells["denoising"], trainings=1), abs(scores[0] - scores[1])
    chance = "so the gap is within chance" if gap <= seeds else "less than the gap"
    who = "No network trained here is yet" if scores[0] > scores[1] else "The best network trained here is"
    return Finding(f"{who} ahead of BM3D, which learns nothing.",
                   f"At sigma 50 BM3D has {scores[0]:.2f} dB. The best of {len(trained)} networks that were measured "
                   f"on all pictures is {first.system}, with {scores[1]:.2f}.",
                   f"Weak: one seed each. Another seed can move a network by ± {seeds:.2f} dB, and the gap is "
                   f"{gap:.2f} dB, {chance}. The networks have seen {share(pixels(first) or 0)}.")


def _search(known: Evidence, claims: Mapping[str, Verdict]) -> Finding | None:
    groups, rain = known.cells["denoising"], cells.place(known.cells["deraining"])
    lead = claims["searched cells over random ones, denoising"]
    if math.isnan(lead.measured) or rain is None:
        return None
    found, drawn = psnrs(groups, ["searched"]), psnrs(groups, ["random"])
    power = table_facts.power(0.5, table_facts.pooled(found, drawn), len(found), len(drawn))
    return Finding("Whether the search matters cannot be said yet.",
                   f"Denoising: searched cells are {lead.measured:+.2f} ± {lead.both:.2f} dB from random ones. "
                   f"Deraining: from the same seed the published cell is number {rain.place} of {rain.of}; in "
                   f"{rain.p:.0%} of cases chance alone puts a cell so near to one of the ends.",
                   f"Weak: {len(found)} cells against {len(drawn)} show a difference of 0.5 dB with a chance of "
                   f"{power:.0%}, and the training runs are very short.")


def _schedule(known: Evidence, claims: Mapping[str, Verdict]) -> Finding | None:
    entropies = [decode.undecided(torch.tensor(search["alpha"], dtype=torch.float64).softmax(dim=1)).mean().item()
                 for search in known.searches]
    if not entropies:
        return None
    return Finding("A short search at the paper's learning rates decides nothing.",
                   "At its end the six candidates of an edge still have nearly equal weights (an entropy of "
                   f"{min(entropies):.3f} to {max(entropies):.3f}, where equal weights have 1), so a cell is read off "
                   "near-ties. Even before the search begins, its starting values favour the path of widths that we "
                   "infer for the published network (page 2).",
                   f"Fair: {len(entropies)} searches, far shorter than the paper's. The favoured path depends on how "
                   "the widths' probabilities are normalised, which the paper does not say.")
