"""Result files: what is accepted, what is refused, which one stands for a system."""

import json

import pytest

from irnas_lib.data import datasets
from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation.protocols import PROTOCOLS
from irnas_lib.experiments import results
from irnas_lib.files import ROOT

SCORES = {"psnr": 26.25, "ssim": 0.7125, "pictures": 200}


def make(**changes):
    """A whole and possible result, with changes."""
    result = {
        "task": "denoising", "dataset": "BSD500", "system": "IR-NAS", "sigma": 50, "seed": 0,
        "recipe": "matched", "loss": "mse + log-ssim", "loss_lambda": 0.5, "iterations": 500, "batch": 12,
        "profile": "laptop", "genotype": [[["conv", "p2"], ["conv", "p1"]]], "path": [0, 0, 0, 1],
        "width": 20, "metrics": {"strict": SCORES}, "parameters": 661693,
        "macs_per_pixel": 1e6, "seconds": 12.5, "device": "cpu", "versions": {"torch": "2.14.1"},
        "commit": None, "data_sha256": "0" * 64,
        "weights": {"file": "weights/x.safetensors", "sha256": "0" * 64}, "status": "ok"}
    return results.Result(**result | changes)


def best(candidates, protocol="strict", **options):
    return results.best(candidates, "denoising", "IR-NAS", 50, protocol, **options)


def test_saved_and_loaded_again(tmp_path):
    path = results.save(make(), tmp_path / "results")
    assert path.name == "denoising-ir_nas-sigma50-seed0-matched-500-laptop.json"
    assert results.load(tmp_path / "results") == [make()]
    again = results.save(make(seconds=1.0), tmp_path / "results")  # the same run again replaces the file
    assert again == path
    assert [result.seconds for result in results.load(tmp_path / "results")] == [1.0]
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name]


def test_the_scores_of_each_picture_may_be_kept(tmp_path):
    scores = {"psnr": 26.25, "ssim": 0.7125, "pictures": 2, "each": {"16068": [26.0, 0.7], "3096": [26.5, 0.725]}}
    results.save(make(metrics={"strict": scores}), tmp_path)
    assert results.load(tmp_path)[0].metrics["strict"] == scores


def test_stem():
    trained = make(system="IR-NAS*", sigma=30, seed=1, loss_lambda=0, iterations=2000, profile="gpu")
    assert trained.stem == "denoising-ir_nas_star-sigma30-seed1-matched-lambda0-2000-gpu"
    run = make(task="deraining", dataset="embedded", system="Rainy", sigma=None, recipe=None, loss_lambda=None,
               iterations=None, profile="smoke")
    assert run.stem == "deraining-embedded-rainy-seed0-smoke"
    names = ("IR-NAS", "IR-NAS*", "IR-NAS, R1", "IR-NAS, R2", "IR-NAS + residual", "IR-NAS (searched here)",
             "RED", "RED (128)", "JORDER", "JORDER-R")
    assert len({results.slug(name) for name in names}) == len(names)


def test_the_contract_has_exactly_these_keys():
    assert " ".join(results.KINDS) == (
        "task dataset system sigma seed recipe loss lambda iterations batch profile genotype path width metrics "
        "parameters macs_per_pixel seconds device versions commit data_sha256 weights status crop curve validation "
        "schedule")


def test_the_protocols_are_those_that_measure():
    known = {protocol for task in TASKS.values() for protocol in task.protocols}
    assert known | {"file"} == set(PROTOCOLS), "page 12 alone measures files; no table shows them"


@pytest.mark.parametrize(("changes", "message"), [
    ({"task": "inpainting"}, "unknown task 'inpainting'"),
    ({"status": "done"}, "status is 'done'"),
    ({"metrics": {}}, "nothing was measured"),
    ({"metrics": {"strict_y": SCORES}}, "unknown protocol 'strict_y'"),
    ({"metrics": {"strict": SCORES | {"psnr": float("nan")}}}, "strict: psnr is nan"),
    ({"metrics": {"strict": SCORES | {"psnr": float("inf")}}}, "strict: psnr is inf"),
    ({"metrics": {"strict": SCORES | {"ssim": 1.5}}}, "ssim is 1.5"),
    ({"metrics": {"strict": SCORES | {"pictures": 0}}}, "pictures is 0"),
    ({"metrics": {"strict": SCORES | {"each": {"16068": [26.25, 0.7125]}}}}, "each does not have the means"),
    ({"metrics": {"strict": SCORES | {"each": {"16068": [26.25]}}}}, "each is no PSNR and SSIM by picture"),
    ({"metrics": {"strict": {"psnr": 26.0}}}, "needs psnr, ssim and pictures"),
    ({"iterations": -1}, "iterations is -1"),
    ({"seed": "0"}, "seed is '0'"),
    ({"sigma": None}, "sigma is None for denoising"),
    ({"task": "deraining", "metrics": {"strict": SCORES}}, "sigma is 50 for deraining"),
    ({"loss_lambda": 0}, "IR-NAS with lambda 0"),
    ({"system": "IR-NAS*"}, r"IR-NAS\* with lambda 0.5"),
    ({"profile": "../laptop"}, "profile is '../laptop'"),
    ({"weights": {"file": "../x", "sha256": ""}}, "weights lie outside"),
    ({"weights": {"file": "x"}}, "weights are neither"),
    ({"status": "not run"}, "status is 'not run'"),
])
def test_impossible_results_are_refused_before_anything_is_written(tmp_path, changes, message):
    with pytest.raises(results.ResultError, match=message) as error:
        results.save(make(**changes), tmp_path / "results")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "results").exists()


def test_missing_and_unknown_keys_are_named(tmp_path):
    path = results.save(make(), tmp_path)
    record = json.loads(path.read_text()) | {"colour": "red"}
    del record["commit"], record["seed"]
    path.write_text(json.dumps(record))
    with pytest.raises(results.ResultError, match="without commit, seed; with unknown colour"):
        results.read(path)


def test_shipped_results_are_written_as_they_were_read(tmp_path):
    for path in sorted((ROOT / "checkpoints" / "results").glob("*.json")):
        again = results.save(results.read(path), tmp_path)
        assert again.name == path.name and again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"[]", b"null", b'{"task": "denoising"}',
                                     b"[" * 100000])
def test_a_broken_or_foreign_file_is_named_in_one_line(tmp_path, content):
    results.save(make(), tmp_path)
    (tmp_path / "foreign.json").write_bytes(content)
    with pytest.raises(results.ResultError, match="foreign.json: not ") as error:
        results.load(tmp_path)
    assert "\n" not in str(error.value)


def test_order_and_hidden_remains_of_a_killed_run(tmp_path):
    for seed in (2, 0, 1):
        results.save(make(seed=seed), tmp_path)
    (tmp_path / ".partial.123.json").write_text("{")
    assert [result.seed for result in results.load(tmp_path)] == [0, 1, 2]
    assert results.load(tmp_path / "not yet there") == []


def test_the_file_is_plain_json_in_the_order_of_the_contract(tmp_path):
    text = results.save(make(), tmp_path).read_text()
    assert list(json.loads(text)) == [name for name in results.KINDS if name not in ("curve", "validation")]


def test_best_prefers_iterations_then_the_lowest_seed_then_matched():
    long, short = make(iterations=2000, seed=3), make(iterations=500, seed=0)
    assert best([short, long]) is long
    low, high = make(seed=9), make(seed=10)
    assert best([high, low]) is low
    ours, theirs = make(), make(recipe="authors")
    assert best([theirs, ours]) is ours
    assert best([]) is None


def test_best_prefers_all_pictures_to_more_iterations():
    part = make(iterations=2000, metrics={"strict": SCORES | {"pictures": 10}})
    assert best([part, make()]).iterations == 500
    assert best([part, make()], protocol=None).iterations == 500


def test_best_keeps_to_the_asked_setting():
    others = [make(sigma=30), make(system="DnCNN"), make(metrics={"half": SCORES}), make(dataset="embedded"),
              make(task="sim1800", dataset="SIM1800-BSD500", sigma=None)]
    assert best(others) is None
    assert best(others, protocol="half") is others[2]
    assert best(others, protocol=None) is others[2]


def test_a_sweep_of_lambda_never_stands_for_the_paper_s_loss():
    swept = make(loss_lambda=2.0, iterations=9000)
    assert results.best([swept], "denoising", "IR-NAS", 50) is None
    assert results.best([swept, make()], "denoising", "IR-NAS", 50) == make()
    without = make(system="IR-NAS*", loss_lambda=0)
    assert results.best([without], "denoising", "IR-NAS*", 50) == without


def test_smoke_never_stands_for_a_result():
    smoke = make(profile="smoke", dataset="embedded", iterations=10**6)
    assert best([smoke]) is None
    assert best([smoke], smoke=True) is smoke
    assert best([smoke, make()]).profile == "laptop"
    assert best([make()], smoke=True) is None


def test_failed_only_where_nothing_succeeded():
    failed = make(status="failed", metrics={}, iterations=600000, recipe="paper")
    assert best([failed]) is failed
    assert best([failed, make()]).status == "ok"
    assert best([failed, make()], protocol="half") is None  # measured, but not so


def test_the_test_sets_have_as_many_pictures_as_they_are_loaded_with():
    assert {task: of.pictures for task, of in TASKS.items()} == {
        **dict.fromkeys(("denoising", "file_grey", "file_rgb"), datasets.BSD500_COUNTS["test"]),
        "sim1800": datasets.SIM1800_COUNTS["test"],
        "deraining": datasets.RAIN800_COUNTS["test_syn"]}
    assert [TASKS[task].pictures for task in ("denoising", "sim1800", "deraining")] == [200, 212, 100]


@pytest.mark.parametrize(("system", "weight", "usual"), (
    ("DnCNN", 0.5, True), ("DnCNN", 0, False), ("DnCNN", 0.6, False), ("IR-NAS*", 0, True), ("IR-NAS*", 0.5, False),
    ("BM3D", None, True)))
def test_the_loss_of_a_row_is_the_papers(system, weight, usual):
    assert results.has_usual_loss(make(system=system, loss_lambda=weight)) == usual


@pytest.mark.parametrize("each", ({"a": [26.252, 0.7125]}, {"a": [26.25, 0.7145]}))
def test_the_means_are_those_of_the_pictures_to_a_thousandth(each):
    with pytest.raises(results.ResultError, match="each does not have the means"):
        results.check(make(metrics={"strict": SCORES | {"pictures": 1, "each": each}}))
    results.check(make(metrics={"strict": SCORES | {"pictures": 1, "each": {"a": [26.2505, 0.7129]}}}))


def test_pictures_of_another_protocol_do_not_count():
    part = make(metrics={"strict": SCORES | {"pictures": 10}, "redrawn": SCORES}, iterations=9000)
    whole = make(metrics={"strict": SCORES | {"pictures": 100}})
    assert results.best([part, whole], "denoising", "IR-NAS", 50, "strict") is whole
    assert results.best([part, whole], "denoising", "IR-NAS", 50) is part
