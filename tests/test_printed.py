"""The printed numbers: their count, and values typed again from the paper."""

from collections import Counter

import pytest

from irnas_lib import printed

# id, value as printed, protocol that it agrees with
SPOTS = [
    ("t1-bm3d-sigma30-psnr", "27.31", "half"), ("t1-red-parameters", "0.99", ""),
    ("t1-nlrn-time", "10411.49", ""), ("t1-n3net-sigma50-psnr", "26.50", "strict"),
    ("t1-n3net-sigma30-ssim", "0.8220", "strict"), ("t1-ir_nas-sigma70-ssim", "0.7129", "redrawn"),
    ("t2-ir_nas-ssim", "0.8326", ""), ("t2-n3net-psnr", "27.62", ""), ("t3-jorder_r-psnr", "22.29", ""),
    ("t3-ir_nas-time", "21.80", ""), ("t4-denoising-ir_nas_r2-ssim", "0.8400", "redrawn"),
    ("t4-deraining-ir_nas_r1-psnr", "21.48", ""), ("t5-ir_nas_star-sigma70-psnr", "25.42", "redrawn"),
    ("t5-ir_nas_star_star-sigma50-ssim", "0.7635", "redrawn"), ("t6-ir_nas_star-ssim", "0.8494", ""),
]
CLAIMS = {"search_time": 6, "search_memory_vs_auto_deeplab": 1 / 3, "search_speed_vs_falsr": 96,
          "parameters_vs_n3net": 92.65, "parameters_vs_nlrn": 64.29, "time_saved_vs_n3net": 31.26,
          "speed_vs_rescan": 2.03}


@pytest.fixture(scope="module")
def numbers():
    return {item.id: item for item in printed.load()}


def test_counts(numbers):
    items = list(numbers.values())
    assert len(items) == len(printed.load()) == 125
    assert Counter(item.where for item in items) == {
        "1": 50, "2": 6, "3": 18, "4": 12, "5": 24, "6": 8, "claim": 7}
    first = Counter(item.metric for item in items if item.where == "1")
    assert first == {"PSNR": 21, "SSIM": 21, "parameters": 5, "time": 3}


@pytest.mark.parametrize(("name", "value", "protocol"), SPOTS)
def test_spot_values(numbers, name, value, protocol):
    assert (numbers[name].value, numbers[name].protocol) == (value, protocol)


def test_claims(numbers):
    assert {item.metric: item.number for item in numbers.values() if item.where == "claim"} == CLAIMS


def test_values_that_the_paper_repeats_agree(numbers):
    seen = {}
    for item in numbers.values():
        if item.metric in ("PSNR", "SSIM"):
            key = (item.task, item.system.replace("**", ""), item.sigma, item.metric)
            assert seen.setdefault(key, item.value) == item.value
    assert len(seen) == 80  # 108 PSNRs and SSIMs, 28 of them printed twice


def test_derived_claims_follow_from_the_tables(numbers):
    def of(name):
        return numbers[name].number
    ratio = of("t1-ir_nas-parameters") / of("t1-n3net-parameters")
    assert f"{100 * ratio:.2f}" == numbers["claim-parameters_vs_n3net"].value
    assert f"{100 - 100 * of('t1-ir_nas-time') / of('t1-n3net-time'):.2f}" == "31.26"
    assert f"{of('t3-rescan-time') / of('t3-ir_nas-time'):.2f}" == "2.03"


def test_slips_are_marked(numbers):
    for name, said in (("t1-wnnm-sigma70-ssim", "0.6346"), ("t1-red-sigma30-ssim", "0.8019"),
                       ("t5-nlrn-sigma30-ssim", "0.8423"), ("t4-denoising-ir_nas-psnr", "IN_NAS"),
                       ("t6-ir_nas_star_star-psnr", "swap")):
        assert said in numbers[name].note
