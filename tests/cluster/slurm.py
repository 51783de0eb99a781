"""A SLURM of two nodes on this machine, from Debian's packages, without systemd or cgroups.

The first node has a GPU that is none. It is for root in a machine that is thrown away: SLURM looks
for its configuration in /etc/slurm.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

COMMANDS = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd", "sbatch", "sacct")
ETC = Path("/etc/slurm")
CONTROLLER, ACCOUNTS, DATABASE, NODES = 27817, 27819, 27306, (27821, 27822)

SLURM = """
ClusterName=small
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
AuthType=auth/munge
AuthInfo=socket={root}/munge.sock,cred_expire=15
SlurmUser=root
SlurmdUser=root
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=15
MinJobAge=300
KillWait=10
GresTypes=gpu
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounts}
AccountingStoragePass={root}/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={nodes[0]} CPUs=4 RealMemory=8000 Gres=gpu:1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={nodes[1]} CPUs=4 RealMemory=8000 Gres=gpu:1
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=60 State=UP
"""
GRES = "AutoDetect=off\nNodeName=n1,n2 Name=gpu File=/dev/zero\n"
SLURMDBD = """
AuthType=auth/munge
AuthInfo=socket={root}/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={accounts}
SlurmUser=root
LogFile={root}/slurmdbd.log
PidFile={root}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=small
StorageLoc=accounts
"""
SQL = """
create database accounts;
create user slurm@'127.0.0.1' identified by 'small'; grant all on accounts.* to slurm@'127.0.0.1';
create user slurm@localhost identified by 'small'; grant all on accounts.* to slurm@localhost;
"""


def missing() -> str:
    """Return why no SLURM can be started here, or ""."""
    if os.geteuid() != 0:
        return "only root can start a SLURM on loopback"
    lacking = [name for name in COMMANDS if shutil.which(name) is None]
    if lacking:
        return f"no {', '.join(lacking)} (apt-get install slurm-wlm slurmdbd mariadb-server munge)"
    conf = ETC / "slurm.conf"
    if conf.exists() and not conf.is_symlink():
        return f"{conf} is of a cluster: it is left alone"
    return ""


def wait_for(what: Callable[[], bool], seconds: float, said: str) -> None:
    """Return when `what` holds; fail after some seconds."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f"waited {seconds:.0f} s for {said}"
        time.sleep(0.25)


class Slurm:
    """The daemons, by name; each ends with `stop`, and by its own pid alone."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._pids: dict[str, int] = {}
        self._database: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._configure()
        self._start_munge()
        self._start_database()
        self._daemon("slurmdbd", "slurmdbd", pid="slurmdbd")
        wait_for(lambda: self._succeeds("sacctmgr -n show cluster"), 60, "slurmdbd")
        for what in ("cluster small", "account all Cluster=small", "user root Account=all"):
            self._succeeds(f"sacctmgr -i add {what}")
        self._daemon("slurmctld", "slurmctld", pid="slurmctld")
        for node in ("n1", "n2"):
            self.start_node(node)
        wait_for(lambda: self.idle() == {"n1", "n2"}, 60, "both nodes")

    def start_node(self, node: str) -> None:
        self._daemon(f"slurmd-{node}", "slurmd", "-N", node, pid=f"slurmd-{node}")

    def lose_node(self, node: str) -> None:
        """Kill a node with all that runs on it, as a power cut does."""
        for process in self.on_node(node):
            os.kill(process, signal.SIGKILL)
        self._kill(f"slurmd-{node}", signal.SIGKILL)

    def on_node(self, node: str) -> list[int]:
        """Return the processes of jobs on a node: every session that a daemon of its started."""
        spool = str(self.root / f"spool-{node}")
        found: list[int] = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                environment = (entry / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            is_job = f"SLURMD_NODENAME={node}\0" in environment
            if is_job or spool in words or words.startswith("slurmstepd"):
                if is_job or self._is_of(words, node):
                    found.append(int(entry.name))
        return found

    def _is_of(self, words: str, node: str) -> bool:
        """Whether a step's daemon serves a job that runs on this node."""
        number = words.partition("[")[2].partition(".")[0]
        return number.isdigit() and self.said(f"squeue -h -j {number} -o %N") == node

    def idle(self) -> set[str]:
        return set(self.said("sinfo -h -N -t idle -o %N").split())

    def state(self, node: str) -> str:
        return self.said(f"sinfo -h -n {node} -o %t")

    def jobs(self) -> list[str]:
        """Return the ids of the jobs that run."""
        return self.said("squeue -h -t R -o %A").split()

    def ended_for_memory(self, job: str) -> bool:
        """Whether a node ended a job that used more than it had asked for."""
        logs = [(self.root / f"slurmd-{node}.log").read_text() for node in ("n1", "n2")]
        ended = re.compile(rf"(Job {job}|StepId={job}\.\w+) exceeded memory limit")
        return any(map(ended.search, logs))

    def said(self, command: str) -> str:
        done = subprocess.run(command.split(), capture_output=True, text=True)
        return done.stdout.strip()

    def clear(self) -> None:
        """Cancel what a failed test left, and start its lost node again."""
        self._succeeds("scancel --user=root")
        for node in ("n1", "n2"):
            if not self._lives(f"slurmd-{node}"):
                self.start_node(node)
        wait_for(lambda: self.idle() == {"n1", "n2"}, 120, "both nodes to be idle")

    def stop(self) -> None:
        self._succeeds("scancel --user=root")
        for name in reversed(list(self._pids)):
            self._kill(name, signal.SIGTERM)
        if self._database:
            self._database.wait()
        for name in ("slurm.conf", "gres.conf", "slurmdbd.conf"):
            (ETC / name).unlink(missing_ok=True)

    def _configure(self) -> None:
        ports = {"controller": CONTROLLER, "accounts": ACCOUNTS, "database": DATABASE}
        words = {"root": self.root, "host": socket.gethostname().split(".")[0], "nodes": NODES}
        for folder in ("state", "spool-n1", "spool-n2", "mysql"):
            (self.root / folder).mkdir(parents=True)
        self.root.chmod(0o755)
        texts = {"slurm.conf": SLURM, "gres.conf": GRES, "slurmdbd.conf": SLURMDBD}
        for name, text in texts.items():
            (self.root / name).write_text(text.format(**ports, **words))
            (self.root / name).chmod(0o600 if name == "slurmdbd.conf" else 0o644)
        ETC.mkdir(exist_ok=True)
        for name in texts:
            (ETC / name).unlink(missing_ok=True)
            (ETC / name).symlink_to(self.root / name)

    def _start_munge(self) -> None:
        key = self.root / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        self._daemon(
            "munge",
            "munged",
            "--force",  # it distrusts what root owns below /tmp
            f"--key-file={key}",
            f"--socket={self.root}/munge.sock",
            f"--pid-file={self.root}/munge.pid",
            f"--log-file={self.root}/munge.log",
            f"--seed-file={self.root}/munge.seed",
            pid="munge",
        )

    def _start_database(self) -> None:
        place = ["--no-defaults", "--user=root", f"--datadir={self.root}/mysql"]
        subprocess.run(
            ["mariadb-install-db", *place, "--auth-root-authentication-method=normal"],
            check=True,
            capture_output=True,
        )
        socket_file = f"--socket={self.root}/mysql.sock"
        server = ["mariadbd", *place, socket_file, "--bind-address=127.0.0.1", f"--port={DATABASE}"]
        with (self.root / "mysql.log").open("w") as log:
            self._database = subprocess.Popen(server, stdout=log, stderr=log)
        self._pids["mysql"] = self._database.pid
        client = ["mariadb", "--no-defaults", "--user=root", socket_file]
        wait_for(lambda: self._succeeds(" ".join([*client, "--execute=select(1)"])), 60, "mariadbd")
        subprocess.run(client, input=SQL, text=True, check=True)

    def _daemon(self, name: str, *command: str, pid: str) -> None:
        """Start a daemon that goes to the background, and note its process."""
        file = self.root / f"{pid}.pid"
        file.unlink(missing_ok=True)
        subprocess.run(command, check=True, capture_output=True)
        wait_for(lambda: file.exists() and file.read_text().strip() != "", 30, name)
        self._pids[name] = int(file.read_text())

    def _lives(self, name: str) -> bool:
        return Path("/proc", str(self._pids[name])).exists()

    def _kill(self, name: str, how: signal.Signals) -> None:
        try:
            os.kill(self._pids[name], how)
        except ProcessLookupError:
            pass

    def _succeeds(self, command: str) -> bool:
        return subprocess.run(command.split(), capture_output=True).returncode == 0
