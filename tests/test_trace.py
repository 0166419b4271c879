"""The trace: every printed number once, and verdicts that can be worked out by hand."""

import csv
from collections import Counter
from dataclasses import replace

import pytest
from test_comparison import measured as comparable
from test_results import SCORES, make

from irnas_lib.tables import printed, trace
from irnas_lib.tables.entries import FAILED, NOT_RUN

PSNR, SSIM = "t1-ir_nas-sigma50-psnr", "t1-ir_nas-sigma50-ssim"  # 26.77 and .7635, both redrawn
CPU = "CPU, 2 threads"


def traced(name, *found, **measured):
    """The entry of one printed number."""
    return next(entry for entry in trace.trace(found, **measured) if entry.printed.id == name)


def redrawn(psnr=26.77, ssim=0.7635, **changes):
    return make(metrics={"redrawn": {"psnr": psnr, "ssim": ssim, "pictures": 200}}, **changes)


def taken(test_pictures, **seconds):
    """A record of times: one picture, some systems."""
    return {"device": CPU, "test_pictures": test_pictures, "pictures": {"a": seconds}}


# ---- the list ----

@pytest.mark.parametrize("found", [[], [make(), redrawn(sigma=30), make(profile="smoke")]])
def test_all_125_are_there_once_in_their_order_and_each_says_why(found):
    entries = trace.trace(found)
    assert [entry.printed for entry in entries] == printed.load() and len(entries) == 125
    for entry in entries:
        assert entry.why and entry.verdict in trace.VERDICTS
        assert (entry.measured is None) == (entry.verdict in (NOT_RUN, FAILED))
        assert (entry.difference is not None) == (entry.verdict in trace.COMPARED)


def test_without_results_only_what_needs_none_is_measured():
    entries = trace.trace([])
    assert [entry.printed.id for entry in entries if entry.measured is not None] == [
        "t1-red-parameters", "t1-memnet-parameters", "t1-nlrn-parameters", "t1-n3net-parameters",
        "t1-ir_nas-parameters", "claim-parameters_vs_n3net", "claim-parameters_vs_nlrn"]
    assert Counter(entry.verdict for entry in entries)["not run"] == 118


def test_every_number_that_can_be_compared_has_a_tolerance():
    never = {"time", "search_time", "search_speed_vs_falsr", "time_saved_vs_n3net", "speed_vs_rescan"}
    never.add("search_memory_vs_auto_deeplab")  # of another baseline
    assert {item.metric for item in printed.load()} == never.union(trace.ABSOLUTE, trace.RELATIVE, trace.QUOTIENTS)


def test_the_file_holds_the_list(tmp_path):
    entries = trace.trace([redrawn(26.7)])
    with open(trace.write(entries, tmp_path), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert " ".join(rows[0]) == ("id where task system sigma metric printed measured protocol budget difference "
                                 "verdict why")
    assert rows == [entry.row(more_decimals=2) for entry in entries]
    row = next(row for row in rows if row["id"] == PSNR)
    assert list(row.values()) == [PSNR, "1", "denoising", "IR-NAS", "50", "PSNR", "26.77", "26.7000", "redrawn",
                                  "500 of 600,000 iterations, 12 crops each; profile laptop, cpu",
                                  "-0.0700", "reproduced", "within 0.15 dB"]
    assert {row["measured"] for row in rows if row["id"].startswith("t3")} == {"not run"}


# ---- verdicts within the tables ----

@pytest.mark.parametrize(("psnr", "verdict"), [(26.92, "reproduced"), (26.62, "reproduced"), (26.93, "undertrained"),
                                               (26.61, "undertrained")])
def test_the_tolerance_of_psnr(psnr, verdict):  # 26.77 +- 0.15
    entry = traced(PSNR, redrawn(psnr))
    assert (entry.measured, entry.verdict) == (psnr, verdict)
    assert entry.difference == pytest.approx(psnr - 26.77)


@pytest.mark.parametrize(("ssim", "verdict"), [(0.7685, "reproduced"), (0.7584, "undertrained")])
def test_the_tolerance_of_ssim(ssim, verdict):  # .7635 +- .005
    assert traced(SSIM, redrawn(ssim=ssim)).verdict == verdict


def test_a_short_training_refutes_nothing_and_a_full_one_does():
    short, full = (traced(PSNR, redrawn(20, iterations=iterations)) for iterations in (5000, 600000))
    assert (short.verdict, full.verdict) == ("undertrained", "differs")
    assert "5,000 of 600,000 iterations" in short.budget and "refutes" in short.why and "refutes" not in full.why
    assert "refutes" not in traced(PSNR, redrawn(26.8, iterations=5000)).why


def test_what_is_not_trained_has_no_budget_to_excuse_it():
    bm3d = make(system="BM3D", recipe=None, loss=None, loss_lambda=None, iterations=None, batch=None,
                parameters=None, weights=None, metrics={"half": SCORES | {"psnr": 24.06}})
    entry = traced("t1-bm3d-sigma50-psnr", bm3d)  # printed: 25.06
    assert (entry.verdict, entry.difference, entry.why) == ("differs", -1, "off by more than 0.15 dB")
    assert entry.budget == "no training; profile laptop, cpu"


def test_another_protocol_is_shown_and_not_compared():
    entry = traced(PSNR, make())  # strict
    assert (entry.measured, entry.protocol, entry.difference) == (26.25, "strict", None)
    first, short = entry.why.split("; ")
    assert (entry.verdict, first) == ("not comparable", "ours is strict, the printed number agrees with redrawn")
    assert short.startswith("our training saw less than 10%")


def test_the_printed_protocol_is_preferred_whatever_else_was_measured():
    both = make(metrics={"strict": SCORES, "half": SCORES, "redrawn": SCORES | {"psnr": 26.8}})
    assert traced(PSNR, both)[1:3] == (26.8, "redrawn")
    assert traced("t1-bm3d-sigma50-psnr", replace(both, system="BM3D")).protocol == "half"
    assert traced("t1-n3net-sigma50-psnr", replace(both, system="N3Net")).protocol == "strict"


def test_fewer_pictures_are_said_and_not_compared():
    entry = traced(PSNR, make(metrics={"redrawn": SCORES | {"psnr": 26.77, "pictures": 40}}))
    assert (entry.verdict, entry.why.split("; ")[0]) == ("not comparable", "ours is from 40 of 200 test pictures")


def test_an_unknown_protocol_is_not_compared():
    rain = make(task="deraining", dataset="Rain800", sigma=None, metrics={"strict": SCORES | {"pictures": 100}})
    for name in ("t3-ir_nas-psnr", "t4-deraining-ir_nas-psnr", "t6-ir_nas_star_star-psnr"):
        entry = traced(name, rain)
        assert (entry.measured, entry.verdict) == (26.25, "not comparable") and "unknown" in entry.why


def test_other_pictures_are_not_compared():
    simulated = make(task="sim1800", dataset="SIM1800-BSD500", sigma=None,
                     metrics={"strict": SCORES | {"psnr": 27.23, "pictures": 212}})
    entry = traced("t2-ir_nas-psnr", simulated)
    assert entry.verdict == "not comparable"
    assert entry.why.startswith("other pictures: ours is SIM1800 (rebuilt from BSD500)")


def test_failed_smoke_and_missing():
    failed = traced(PSNR, make(status="failed", metrics={}))
    assert (failed.measured, failed.verdict, failed.why) == (None, "failed", "our run of it failed")
    assert "500 of 600,000 iterations" in failed.budget
    for found in ([], [redrawn(profile="smoke")], [redrawn(dataset="embedded")], [redrawn(sigma=30)]):
        entry = traced(PSNR, *found)
        assert (entry.measured, entry.verdict) == (None, "not run")
        assert entry.why == "no result yet of IR-NAS on BSD500 at sigma 50, protocol redrawn"
    assert "no result yet of IR-NAS on" in traced("t5-ir_nas_star_star-sigma50-psnr").why  # the name of its training


def test_a_slip_explains_a_difference():
    wnnm = make(system="WNNM", sigma=70, recipe=None, loss=None, loss_lambda=None, iterations=None, batch=None,
                parameters=None, weights=None, metrics={"half": SCORES | {"ssim": 0.6346}})
    entry = traced("t1-wnnm-sigma70-ssim", wnnm)  # printed: .3460
    assert (entry.verdict, entry.difference) == ("differs", 0.2886) and "slip: its source has 0.6346" in entry.why


# ---- parameters, times, claims ----

@pytest.mark.parametrize(("name", "measured", "verdict"), [
    ("t1-ir_nas-parameters", 661693 / 2**20, "fitted"),  # printed: 0.63
    ("t1-n3net-parameters", 705511 / 2**20, "differs"),      # 0.68, 1.1 % more
    ("claim-parameters_vs_n3net", 100 * 661693 / 705511, "fitted"),  # 62.5 / 68.5 to 63.5 / 67.5
    ("claim-parameters_vs_nlrn", 100 * 661693 / 340099, "differs"),
])
def test_parameters_are_counted_whatever_was_trained(name, measured, verdict):
    entry = traced(name, make(parameters=1))
    assert entry.measured == pytest.approx(measured, rel=1e-9) and entry.verdict == verdict


def test_neither_a_time_nor_a_ratio_of_times_is_ever_compared():
    measured = {"times": {"denoising": taken(200, **{"IR-NAS": 0.7, "N3Net": 1.0}),
                          "deraining": taken(100, **{"IR-NAS": 2.0, "RESCAN": 1.0})}}
    time = traced("t1-ir_nas-time", **measured)
    assert time.measured == pytest.approx(140) and time.verdict == "not comparable" and CPU in time.why
    assert time.budget == f"1 of 200 test pictures; {CPU}"
    assert traced("t3-rescan-time", **measured).measured == pytest.approx(100)
    saved = traced("claim-time_saved_vs_n3net", **measured)  # printed: 31.26 %
    speed = traced("claim-speed_vs_rescan", **measured)  # 2.03
    assert (saved.measured, speed.measured) == (pytest.approx(30), pytest.approx(0.5))
    for ratio in (saved, speed):
        assert ratio.verdict == "not comparable" and ratio.why.startswith(f"times of other hardware: {CPU}")


@pytest.mark.parametrize("name", ["t1-nlrn-time", "t3-ir_nas-time", "claim-time_saved_vs_n3net",
                                  "claim-speed_vs_rescan"])
def test_a_time_that_was_not_taken_is_said(name):
    entry = traced(name, times={"denoising": taken(200, **{"IR-NAS": 0.7})})
    assert entry.verdict == "not run" and entry.why.startswith("no time")


def test_a_quotient_may_be_what_the_digits_of_its_two_numbers_allow():
    share = next(item for item in printed.load() if item.id == "claim-parameters_vs_n3net")
    assert trace.rounding(share) == pytest.approx((100 * 0.625 / 0.685, 100 * 0.635 / 0.675))
    below, above, words = trace.tolerance(share)
    assert (92.65 - below, 92.65 + above) == pytest.approx((91.2409, 94.0741), abs=1e-4)
    assert words == "what the rounding of 0.63 and 0.68 allows (91.2 to 94.1%)"
    for off, verdict in ((-1.40, "fitted"), (-1.42, "differs"), (1.42, "fitted"), (1.43, "differs")):
        assert trace._judged(share, 92.65 + off, "").verdict == verdict
    assert "its path of widths inferred from 0.63M" in traced("claim-parameters_vs_n3net").why


@pytest.mark.parametrize("ratio", [0.33, 0.55])  # printed: 1/3, of another baseline
def test_memory_is_eq_5_over_eq_6_and_no_share_of_auto_deeplabs(ratio):
    bench = {"sharing_memory": {"ratio": ratio, "against": "Eq. 6, same implementation", "device": CPU},
             "supernet_memory": {"ratio": 0.28, "against": "Eq. 6, edge by edge", "device": CPU}}
    entry = traced("claim-search_memory_vs_auto_deeplab", bench=bench)
    assert (entry.measured, entry.verdict) == (ratio, "not comparable") and CPU in entry.budget
    assert entry.why.startswith("another baseline: ours is Eq. 6") and "edge by edge, it is 0.28" in entry.why
    assert "make bench" in traced("claim-search_memory_vs_auto_deeplab").why


def test_the_search_nearest_to_the_papers_counts():
    def search(width, steps, seconds, **changes):
        return {"task": "denoising", "profile": "gpu", "device": "a GPU", "seconds": seconds,
                "settings": {"width": width, "epochs": 30, "crops_per_picture": 2},
                "history": [{"iteration": steps}]} | changes
    searches = [search(4, 900, 7200), search(10, 700, 1800), search(10, 600, 3600),
                search(10, 9000, 9000, profile="smoke"), search(10, 9000, 9000, task="deraining")]
    entry = traced("claim-search_time", searches=searches)
    assert (entry.measured, entry.verdict) == (0.5, "not comparable") and "700 steps" in entry.why
    assert entry.budget == ("W = 10, 30 epochs of 2 crops a picture (the paper's: 10, 100, about 35); "
                            "profile gpu, a GPU")
    assert traced("claim-search_time", searches=searches[3:]).verdict == "not run"


def test_another_papers_search_cannot_be_measured():
    entry = traced("claim-search_speed_vs_falsr")
    assert entry.verdict == "not run" and "cannot be measured here" in entry.why


def test_of_how_many_iterations_is_said_of_the_papers_own_network_alone():
    found = [make(system="N3Net"), make()]
    budgets = {entry.printed.id: entry.budget for entry in trace.trace(found)}
    assert budgets["t1-n3net-sigma50-psnr"] == "500 iterations, 12 crops each; profile laptop, cpu"
    assert budgets["t1-ir_nas-sigma50-psnr"] == "500 of 600,000 iterations, 12 crops each; profile laptop, cpu"


def test_a_training_that_gained_too_little_is_said_where_it_is_not_compared_too():
    found = [comparable("IR-NAS", offset=-2), replace(comparable("Noisy", offset=-9, trained=False), schedule=None)]
    entry = next(entry for entry in trace.trace(found) if entry.printed.id == "t1-ir_nas-sigma50-psnr")
    assert entry.verdict == "not comparable" and "; counts as failed: gains less" in entry.why


def test_what_was_inferred_from_a_number_does_not_reproduce_it():
    def half(system, psnr):
        return make(system=system, recipe=None, loss=None, loss_lambda=None, iterations=None, batch=None,
                    parameters=None, weights=None, metrics={"half": SCORES | {"psnr": psnr, "pictures": 200}})
    found = half("BM3D", 25.06), half("WNNM", 25.26)
    assert [traced(f"t1-{system}-sigma50-psnr", *found).verdict for system in ("bm3d", "wnnm")] == [
        "fitted", "reproduced"]
    assert "half" in traced("t1-bm3d-sigma50-psnr", *found).why


def test_how_long_is_enough_goes_by_pixels():
    verdicts = [traced(PSNR, redrawn(20, iterations=iterations, crop=crop)).verdict
                for iterations, crop in ((59_999, 64), (60_000, 64), (60_000, 32), (240_000, 32))]
    assert verdicts == ["undertrained", "differs", "undertrained", "differs"]


def test_a_short_training_is_an_obstacle_of_its_own_beside_another():
    """4,500 steps of 4 crops of 32x32 are 0.06% of the paper's pixels, and ours is from 20 of 200 pictures."""
    few = {"redrawn": {"psnr": 20.0, "ssim": 0.5, "pictures": 20}}
    entry = traced(PSNR, make(metrics=few, iterations=4500, batch=4, crop=32, schedule=4500))
    assert entry.verdict == "not comparable"
    assert "20 of 200 test pictures" in entry.why and "less than 10% of the paper's pixels" in entry.why
