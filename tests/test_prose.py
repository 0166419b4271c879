"""The prose: every score that README, RESULTS and REPRODUCTION name is a shipped result's or a printed one."""

import csv
import re
from collections import Counter

import numpy as np
import pytest

from irnas_lib.benchmarks import brightness
from irnas_lib.experiments import results
from irnas_lib.files import ROOT
from irnas_lib.tables import printed

PAIR = re.compile(r"\d\d\.\d\d / \.\d{4}")  # PSNR / SSIM, as the prose writes them


def written(psnr, ssim):
    return f"{psnr:.2f} / {f'{ssim:.4f}'.lstrip('0')}"


@pytest.fixture(scope="module")
def known():
    """Every result's scores, those on every fourth or tenth picture, which slow systems have, and the printed ones."""
    found = set()
    for result in results.load(ROOT / "checkpoints" / "results"):
        for scores in result.metrics.values():
            found.add(written(scores["psnr"], scores["ssim"]))
            each = list((scores.get("each") or {}).values())
            found |= {written(*np.mean(each[::every], axis=0)) for every in (4, 10) if each}
    for score in brightness.load().values():
        found |= {written(score[f"{kind}psnr"], score[f"{kind}ssim"]) for kind in ("", "shifted_")}
    both = {}
    for item in printed.load():
        both.setdefault((item.where, item.task, item.system, item.sigma), {})[item.metric] = item.number
    return found | {written(item["PSNR"], item["SSIM"]) for item in both.values() if item.keys() >= {"PSNR", "SSIM"}}


@pytest.mark.parametrize("name, at_least", [("README.md", 10), ("RESULTS.md", 60), ("REPRODUCTION.md", 0)])
def test_every_score_of_the_prose_is_measured_or_printed(name, at_least, known):
    named = PAIR.findall(" ".join((ROOT / name).read_text(encoding="utf-8").split()))
    assert len(named) >= at_least
    assert not set(named) - known


def test_the_counts_of_the_readme_are_those_of_the_trace():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    with open(ROOT / "figures" / "trace.csv", encoding="utf-8") as file:
        verdicts = Counter(row["verdict"] for row in csv.DictReader(file))
    assert not verdicts["failed"]
    assert (f"Of the {verdicts.total()} numbers that the paper prints, {verdicts['not comparable']} cannot be compared "
            f"with ours, {verdicts['reproduced']} agree (none of them needs training), {verdicts['fitted']} agree "
            f"because they were used to set the comparison up, {verdicts['differs']} differ, "
            f"{verdicts['undertrained']} need longer training, and {verdicts['not run']} was not run.") in text
