"""A training of the batch without its notebook."""

from dataclasses import replace

import torch

from irnas_lib.data import datasets
from irnas_lib.experiments import runs
from irnas_lib.pipeline import profiles, train


def test_the_command_leaves_the_finished_state_of_the_job(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runs, "run_folder", lambda profile: tmp_path)
    job = next(job for job in profiles.load("smoke") if job.parameters.get("system") == "DnCNN")
    monkeypatch.setattr(profiles, "find", lambda *_: job._replace(parameters=job.parameters | {"iterations": 2}))
    assert train.main(["smoke", job.name]) == 0
    assert capsys.readouterr().out.startswith("trained in ")
    (state,) = (tmp_path / "checkpoints/resume").glob("*.pt")
    state = torch.load(state, weights_only=True)
    assert state["iteration"] == 2 and state["key"]["system"] == "DnCNN"
    assert state["key"]["data_sha256"] == datasets.load("denoising", "embedded").sha256
    monkeypatch.setattr(runs, "find_training", lambda profile, wanted: (
        replace(wanted, status="failed"), tmp_path))
    assert train.main(["smoke", job.name]) == 1
    assert capsys.readouterr().err.startswith("failed: ")
    monkeypatch.undo()
    assert train.main(["smoke", "no such job"]) == 1
    assert capsys.readouterr().err.startswith("unknown job 'no such job' in profile smoke; known: ")
    assert train.main(["gpu", "01_datasets"]) == 1
    assert capsys.readouterr().err == "01_datasets is no job of 05_training\n"
