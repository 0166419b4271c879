"""Tables 1 to 6 from small made-up results."""

import csv
import re
from dataclasses import replace

import pytest
from test_comparison import measured
from test_results import SCORES, make

from irnas_lib.data.tasks import TASKS
from irnas_lib.tables import printed, writers


def rows(number, found=(), smoke=False, **wanted):
    """The rows of a table that agree with `wanted`."""
    return [row for row in writers.rows(number, found, smoke)
            if all(row[key] == value for key, value in wanted.items())]


@pytest.mark.parametrize("number", range(1, 7))
def test_every_printed_number_stands_in_its_table(number):
    for item in printed.load():
        if item.where != str(number):
            continue
        found = rows(number, task=item.task, system=item.system, sigma=item.sigma, metric=item.metric)
        protocols = TASKS[item.task].protocols if item.metric in ("PSNR", "SSIM") else ("",)
        assert [row["protocol"] for row in found] == list(protocols)
        assert {row["printed"] for row in found} == {item.value}


@pytest.mark.parametrize("number", range(1, 7))
def test_without_results_nothing_is_measured_and_all_is_written(tmp_path, number):
    paths = writers.write(number, [], tmp_path / "figures")
    assert [path.name for path in paths] == [f"table{number}.{suffix}" for suffix in ("csv", "md", "tex")]
    with open(paths[0], newline="") as file:
        read = list(csv.DictReader(file))
    assert read == writers.rows(number, [])
    assert " ".join(read[0]) == (
        "table task system sigma metric printed measured protocol iterations seed note")
    assert {row["measured"] for row in read} == {"not run"}
    assert {row["table"] for row in read} == {str(number)}
    keys = [(row["task"], row["system"], row["sigma"], row["metric"], row["protocol"]) for row in read]
    assert len(set(keys)) == len(keys)


BUDGET = ("recipe matched, lambda 0.5, 12 crops of 64x64 a step, 25 million pixels, 0.083% of the paper's")


def test_exact_rows_of_one_training():
    scores = {"psnr": 26.26, "ssim": 0.71256, "pictures": 200}
    result = make(metrics={"strict": scores, "redrawn": scores | {"psnr": 26.9, "ssim_padded": 0.72}}, crop=64)
    found = [row for row in rows(1, [result], system="IR-NAS") if row["sigma"] in ("50", "")]
    assert [list(row.values()) for row in found] == [
        ["1", "denoising", "IR-NAS", "50", "PSNR", "26.77", "26.2600", "strict", "500", "0",
         BUDGET + "; the printed number agrees with redrawn"],
        ["1", "denoising", "IR-NAS", "50", "SSIM", "0.7635", "0.712560", "strict", "500", "0",
         BUDGET + "; the printed number agrees with redrawn"],
        ["1", "denoising", "IR-NAS", "50", "PSNR", "26.77", "26.9000", "redrawn", "500", "0",
         BUDGET],
        ["1", "denoising", "IR-NAS", "50", "SSIM", "0.7635", "0.712560", "redrawn", "500", "0",
         BUDGET + "; "
         "0.7200 with zero padding, as the authors' program has it"],
        ["1", "denoising", "IR-NAS", "50", "PSNR", "26.77", "not run", "half", "", "",
         "the printed number agrees with redrawn"],
        ["1", "denoising", "IR-NAS", "50", "SSIM", "0.7635", "not run", "half", "", "",
         "the printed number agrees with redrawn"],
        ["1", "denoising", "IR-NAS", "", "parameters", "0.63", "0.6310", "", "", "",
         "661,693 registered, in units of 2^20, 57,600 of them never used; the path and the width are inferred from "
         "this count; here 661,693 registered, 1,000,000 multiply-adds a pixel"],
        ["1", "denoising", "IR-NAS", "", "time", "83.25", "not run", "", "", "",
         "GTX 980, all 200 test pictures"],
    ]


def test_one_training_serves_several_tables():
    rain = {"task": "deraining", "dataset": "Rain800", "sigma": None}
    wet = {"strict": SCORES | {"psnr": 25.0, "pictures": 100}}
    without = make(system="IR-NAS*", loss_lambda=0, sigma=30, metrics={"strict": SCORES | {"psnr": 20}})
    found = [make(sigma=30), without, make(**rain, metrics=wet)]
    wanted = {"protocol": "strict", "metric": "PSNR"}
    assert rows(1, found, system="IR-NAS", sigma="30", **wanted)[0]["measured"] == "26.2500"
    assert rows(4, found, system="IR-NAS", sigma="30", **wanted)[0]["measured"] == "26.2500"
    assert rows(5, found, system="IR-NAS**", sigma="30", **wanted)[0]["measured"] == "26.2500"
    assert rows(5, found, system="IR-NAS*", sigma="30", **wanted)[0]["measured"] == "20.0000"
    for number, system in ((3, "IR-NAS"), (4, "IR-NAS"), (6, "IR-NAS**")):
        assert rows(number, found, system=system, task="deraining", **wanted)[0]["measured"] == "25.0000"
    assert rows(1, found, system="IR-NAS*") == []


def test_smoke_never_fills_a_shipped_table(tmp_path):
    smoke = make(profile="smoke", dataset="embedded", metrics={"strict": SCORES | {"pictures": 3}})
    on_real_pictures = make(profile="smoke")
    embedded = make(dataset="embedded")
    assert {row["measured"] for row in rows(1, [smoke, on_real_pictures, embedded])} == {"not run"}
    row, = rows(1, [smoke, make()], smoke=True, system="IR-NAS", sigma="50", protocol="strict", metric="PSNR")
    assert row["measured"] == "26.2500"
    assert "3 of 200 test pictures" in row["note"] and "smoke scale, not a result" in row["note"]
    for path in writers.write(1, [smoke], tmp_path, smoke=True)[1:]:
        text = path.read_text()
        assert writers.SMOKE_WARNING in text
        assert "n/c" in text and "+" not in re.sub(r"IR-NAS \+ residual", "", text)  # no difference is shown
    assert writers.SMOKE_WARNING not in writers.write(1, [make()], tmp_path)[1].read_text()


def test_failed_is_said():
    failed = make(status="failed", metrics={}, recipe="paper", iterations=600000)
    found = rows(1, [failed], system="IR-NAS", sigma="50")
    assert {row["measured"] for row in found} == {"failed"}
    assert {(row["iterations"], row["seed"]) for row in found} == {("600000", "0")}
    assert "recipe paper, lambda 0.5" in found[0]["note"]
    assert rows(1, [failed], system="IR-NAS", metric="parameters")[0]["measured"] == "not run"


def test_input_comes_first_and_other_systems_last():
    noisy = make(system="Noisy", recipe=None, loss=None, loss_lambda=None, iterations=None, batch=None,
                 parameters=None, metrics={"strict": SCORES | {"psnr": 14.15}})
    others = [make(system="RED (128)"), make(system="IR-NAS, R1"), make(system="X", sigma=25)]
    found = writers.rows(1, [*others, noisy])
    assert list(dict.fromkeys(row["system"] for row in found)) == [
        "Noisy", "BM3D", "WNNM", "RED", "MemNet", "NLRN", "N3Net", "IR-NAS", "DnCNN", "IR-NAS + residual",
        "IR-NAS (searched here)", "RED (128)"]
    first = next(row for row in found if row["sigma"] == "50")
    assert list(first.values()) == [
        "1", "denoising", "Noisy", "50", "PSNR", "", "14.1500", "strict", "", "0", ""]
    assert writers.rows(3, [])[0]["system"] == "Rainy"


def block(text, title):
    """The table under a heading of the Markdown: system -> its further columns."""
    lines = text.split(f"## {title}\n\n")[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {cell[0]: cell[1:] for cell in cells}


def test_readable_table_shows_differences_only_within_a_protocol(tmp_path):
    both = {"strict": SCORES, "redrawn": SCORES | {"psnr": 26.9}}
    part = {"strict": SCORES | {"pictures": 10}}
    text = writers.write(1, [make(metrics=both), make(system="N3Net", metrics=part)], tmp_path)[1].read_text()
    strict = block(text, "denoising, protocol strict, sigma 50")
    mark = next(name for name in strict if name.startswith("IR-NAS \\["))
    assert strict[mark] == ["26.77", "26.25", "n/c", "0.7635", "0.7125", "n/c", "redrawn", "500", "0"]
    redrawn = block(text, "denoising, protocol redrawn, sigma 50")[mark]
    assert redrawn == ["26.77", "26.90", "+0.13", "0.7635", "0.7125", "-0.0510", "redrawn", "500", "0"]
    assert strict["BM3D"] == ["25.06", "not run", "", "0.6831", "not run", "", "half", "", ""]
    n3net = next(cells for name, cells in strict.items() if name.startswith("N3Net"))
    assert n3net[2] == "n/c"  # the same protocol, but ten pictures
    assert re.search(r"^\d+\. slip: its source has 0\.6346$", text, re.MULTILINE)


@pytest.mark.parametrize("number", range(1, 7))
def test_latex_is_escaped_and_even(tmp_path, number):
    found = [make(recipe="my_recipe"), make(recipe="my_recipe", sigma=30)]
    text = writers.write(number, found, tmp_path)[2].read_text()
    body = text.split("\n", 1)[1]
    assert not re.search(r"(?<!\\)[%_#$^~]", body)
    assert "*" not in body
    assert body.count("{") == body.count("}")
    for name in ("table", "tabular", "enumerate"):
        assert body.count(f"\\begin{{{name}}}") == body.count(f"\\end{{{name}}}")
    assert "\\begin{tabular}" in body
    for tabular in body.split("\\begin{tabular}")[1:]:
        columns = re.match(r"\{([lr]+)\}", tabular)[1]
        lines = [line for line in tabular.split("\\bottomrule")[0].splitlines() if line.endswith("\\\\")]
        assert {line.count(" & ") for line in lines} == {len(columns) - 1}


def test_a_training_that_stopped_early_says_so():
    early = {"schedule": 5000, "iterations": 4003}
    notes = {row["note"] for row in writers.rows(1, [make(**early)]) if row["measured"] not in ("not run", "")
             and row["metric"] == "PSNR"}
    assert all("stopped after 4,003 of 5,000 iterations" in note for note in notes) and notes


@pytest.mark.parametrize("number", range(1, 7))
def test_times_stand_only_where_the_paper_prints_some(number):
    times = {task: {"device": "CPU", "test_pictures": 1, "pictures": {"a": {"IR-NAS": 1.0}}}
             for task in ("denoising", "deraining")}
    assert any(row["metric"] == "time" for row in writers.rows(number, [], times=times)) == (number in (1, 3))


def test_smoke_scale_is_not_called_a_failure():
    smoke = {"profile": "smoke", "dataset": "embedded"}
    found = [measured("RED", offset=-2, **smoke),
             replace(measured("Noisy", offset=-9, trained=False, **smoke), schedule=None)]
    rows = [row for row in writers.rows(1, found, smoke=True) if row["system"] == "RED" and row["sigma"] == "50"]
    assert rows and not any("counts as failed" in row["note"] for row in rows)


def test_a_schedule_without_iterations_is_no_early_stop():
    rows = writers.rows(1, [make(schedule=900, iterations=None)])
    assert not any("stopped after" in row["note"] for row in rows)


def test_a_further_test_set_appears_once_it_was_measured():
    other_set = {"strict": SCORES, "strict on Kodak24": {"psnr": 27.0, "ssim": 0.75, "pictures": 24}}
    found = [row for row in writers.rows(1, [make(metrics=other_set)]) if row["protocol"] == "strict on Kodak24"]
    ours = {row["metric"]: row for row in found if row["system"] == "IR-NAS" and row["sigma"] == "50"}
    assert ours["PSNR"]["measured"] == "27.0000" and "pictures" not in ours["PSNR"]["note"]
    assert {row["measured"] for row in found if row["system"] == "RED"} == {"not run"}
    assert not any("Kodak24" in row["protocol"] for row in writers.rows(1, [make()]))
