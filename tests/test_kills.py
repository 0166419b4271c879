"""A few kills of every command that writes; `python -m tests.kills` makes more of them by hand."""

import subprocess
import sys

from irnas_lib.files import ROOT


def test_after_a_kill_the_same_command_ends_with_the_same_bytes_and_leaves_nothing_over():
    killed = subprocess.run([sys.executable, "-m", "tests.kills", "--kills", "10"], cwd=ROOT, capture_output=True,
                            text=True)
    assert killed.returncode == 0, killed.stderr
    *_, last = killed.stdout.splitlines()
    assert last.startswith("10 kills: ") and int(last.partition("done")[0].split()[2]) >= 5, killed.stdout
