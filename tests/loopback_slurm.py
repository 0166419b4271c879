"""A Slurm cluster of one node on this machine's loopback: munged, slurmctld and slurmd (Debian's slurm-wlm), started by
the user who runs it, in a folder of their own, and ended with it. Its node claims 64 cores and eight GPUs."""

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "scancel", "sinfo")
CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmdTimeout=5
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=64 RealMemory=256000 Gres=gpu:8
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """environment: what the commands of Slurm need to find it."""

    def __init__(self, folder: Path):
        self.folder, self.servers = folder, {}
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def start(self, name: str, *arguments: str) -> None:
        program = shutil.which(name) or f"/usr/sbin/{name}"
        with open(self.folder / f"{name}.out", "a") as output:
            self.servers[name] = subprocess.Popen([program, *arguments], env=self.environment, stdout=output,
                                                  stderr=output, start_new_session=True)

    def start_node(self) -> None:
        self.start("slurmd", "-D")
        self.wait_for("idle")

    def wait_for(self, state: str, seconds: float = 30) -> None:
        """Until the node is in that state, whether it answers or not. RuntimeError, with what the servers said, where
        it is not in time."""
        end = time.monotonic() + seconds
        while (found := self.ask("sinfo", "--noheader", "--format=%T").rstrip("*")) != state:
            if time.monotonic() > end:
                output = "".join(path.read_text()[-500:] for path in sorted(self.folder.glob("*.out")))
                raise RuntimeError(f"the node is {found or 'not there'}, not {state}: {output}")
            time.sleep(0.2)

    def ask(self, *command: str) -> str:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True).stdout.strip()

    def kill_node(self) -> None:
        """As if it lost its power: slurmd and all that it has started."""
        there = [int(process.name) for process in Path("/proc").glob("[0-9]*") if self._on_node(process)]
        self.servers["slurmd"].kill()
        self.servers["slurmd"].wait()
        for process in there:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def _on_node(self, process: Path) -> bool:
        """Whether a process is a slurmstepd of this cluster, or what it has started."""
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
            stepd = (process / "cmdline").read_bytes().startswith(b"slurmstepd")
        except OSError:
            return False
        ours = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode() in variables
        return ours and (stepd or any(variable.startswith(b"SLURMD_NODENAME=") for variable in variables))


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """The running cluster. RuntimeError, in words, where it cannot be started here."""
    missing = [name for name in PROGRAMS if not (shutil.which(name) or Path("/usr/sbin", name).exists())]
    if missing:
        raise RuntimeError(f"Slurm is not installed here ({', '.join(missing)})")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    (folder / "slurm.conf").write_text(CONFIGURATION.format(
        host=socket.gethostname().split(".")[0], folder=folder, ports=ports, user=getpass.getuser()))
    for number in range(8):
        (folder / f"gpu{number}").touch()
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-7]\n")
    running = Cluster(folder)
    try:
        running.start("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket",
                      f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log",
                      f"--seed-file={folder}/munge.seed")
        time.sleep(0.5)
        running.start("slurmctld", "-D")
        running.start_node()
        yield running
    finally:
        for server in reversed(running.servers.values()):
            server.terminate()
        for server in running.servers.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(10)
            server.kill()
