"""The loop that can be stopped and go on."""

import os
import signal
import threading

import pytest
import torch

from irnas_lib.training import steps


def interrupt(by=signal.SIGINT):
    os.kill(os.getpid(), by)


@pytest.mark.parametrize(("seconds", "expected"), ((60, [5]), (-1, [3, 4, 5, 5])))
def test_saves_after_each_minute_and_at_the_end(monkeypatch, seconds, expected):
    monkeypatch.setattr(steps, "SAVE_SECONDS", seconds)
    saved = []
    assert list(steps.resumable(2, 5, saved.append, "test")) == [2, 3, 4]
    assert saved == expected


def test_a_finished_run_does_nothing():
    saved = []
    assert list(steps.resumable(5, 5, saved.append, "test")) == []
    assert saved == []


@pytest.mark.parametrize("by", (signal.SIGINT, signal.SIGTERM))
def test_ctrl_c_and_sigterm_let_the_step_end_save_and_stop(by):
    saved, done, usual = [], [], signal.getsignal(by)
    with pytest.raises(KeyboardInterrupt, match="stopped after 3 steps"):
        for iteration in steps.resumable(0, 10, saved.append, "test"):
            if iteration == 2:
                interrupt(by)
            done.append(iteration)
    assert (done, saved) == ([0, 1, 2], [3])
    assert signal.getsignal(by) is usual


def test_a_second_ctrl_c_does_not_wait():
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background command ignores it
    saved = []
    with pytest.raises(KeyboardInterrupt):
        for _ in steps.resumable(0, 10, saved.append, "test"):
            interrupt()
            interrupt()
            pytest.fail("the second interrupt was held back")
    signal.signal(signal.SIGINT, heard)
    assert saved == []


def test_an_error_in_a_step_comes_through_and_gives_ctrl_c_back():
    usual = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError):
        for iteration in steps.resumable(0, 10, lambda done: None, "test"):
            1 / (iteration - 1)
    assert signal.getsignal(signal.SIGINT) is usual


def test_outside_the_main_thread_it_runs_too():
    done = []
    thread = threading.Thread(target=lambda: done.extend(steps.resumable(0, 3, lambda done: None, "test")))
    thread.start()
    thread.join()
    assert done == [0, 1, 2]


def test_on_a_cpu_a_recorded_step_is_the_step_itself():
    def step(x):
        return (x + 1,)
    assert steps.captured(step, torch.device("cpu")) is step


def test_on_cuda_a_step_is_recorded(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Stream", lambda: None)
    assert steps.captured(abs, torch.device("cuda")) is not abs
