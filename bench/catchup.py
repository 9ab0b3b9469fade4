"""How fast a backlog is drained: by MariaDB's own replication and by us, in the same run, into the same target server.

``python -m bench.catchup [--rows N] [--repeat 3] [--workload WORDS] [--nodes 1|2] [--target-binlog] [--json FILE]``

For each workload a backlog is committed on the source. Then, turn by turn, the target's tables are put back and the
backlog is drained by native replication (serial; 4 threads, optimistic) and by an Otter of real processes (manager,
ZooKeeper, nodes) whose pipeline starts at the backlog's position. After each drain every table is compared.

A native drain is timed from START SLAVE. Ours is timed from the moment when the target holds the pipeline's first mark
(the chain is up and begins to read) until the mark is at the backlog's end; the time from `channel start` until then is
told apart (``startup``).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql

from bench.backlog import Workload, workloads
from bench.cluster import Cluster
from bench.servers import SOURCE_OPTIONS, STRICT_OPTIONS, Mariadb, started, wait_until

PATIENCE = 600.0
MODES = ("serial", "parallel", "otter")
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Drain:
    """One drain. ``cpu`` is µs of CPU per row by process, ``rss`` peak MiB by process."""

    seconds: float
    startup: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    rss: dict[str, float] = field(default_factory=dict)


@dataclass
class Backlog:
    """What lies between two positions of the source (GTID positions of one domain)."""

    workload: Workload
    schema: str
    start: str
    end: str
    checksums: dict[str, int]


class Bench:
    def __init__(self, source: Mariadb, target: Mariadb, cluster: Cluster, parameters: dict[str, int]) -> None:
        self.source, self.target, self.cluster, self.parameters = source, target, cluster, parameters
        self._number = 0

    # -- the backlog ----------------------------------------------------------------------------------------------

    def backlog(self, workload: Workload) -> Backlog:
        """Commits it on the source; the target keeps what was there before in a schema of its own."""
        self._number += 1
        schema = f"w{self._number}"
        self.source.run(f"CREATE DATABASE {schema}")
        self.source.run(*workload.before(), database=schema)
        self.target.run("SET sql_log_bin=0", f"CREATE DATABASE {schema}", f"CREATE DATABASE {schema}_before",
                        f"USE {schema}_before", *workload.before())  # fmt: skip
        start = self._position()
        with self.source.connect(schema) as connection, connection.cursor() as cursor:
            for statement in workload.transactions():
                cursor.execute(statement)
        return Backlog(workload, schema, start, self._position(), self._checksums(self.source, workload, schema))

    def _position(self) -> str:
        return str(self.source.run("SELECT @@gtid_binlog_pos")[0][0])

    @staticmethod
    def _checksums(server: Mariadb, workload: Workload, schema: str) -> dict[str, int]:
        names = ", ".join(f"{schema}.{table}" for table in workload.tables)
        return {str(name): checksum for name, checksum in server.run(f"CHECKSUM TABLE {names} EXTENDED")}

    def _restore(self, backlog: Backlog) -> None:
        schema = backlog.schema
        statements = ["SET sql_log_bin=0"]
        for table in backlog.workload.tables:
            statements += [
                f"DROP TABLE IF EXISTS {schema}.{table}",
                f"CREATE TABLE {schema}.{table} LIKE {schema}_before.{table}",
                f"INSERT INTO {schema}.{table} SELECT * FROM {schema}_before.{table}",
            ]
        self.target.run(*statements)

    def check(self, backlog: Backlog) -> None:
        """A fast wrong answer is a failure."""
        found = self._checksums(self.target, backlog.workload, backlog.schema)
        wrong = [table for table, checksum in backlog.checksums.items() if found[table] != checksum]
        if wrong or None in found.values():
            raise RuntimeError(f"{backlog.workload.name}: tables differ after the drain: {', '.join(wrong)}")

    # -- draining -------------------------------------------------------------------------------------------------

    def drain(self, backlog: Backlog, mode: str) -> Drain:
        self._restore(backlog)
        done = self._otter(backlog) if mode == "otter" else self._native(backlog, 4 if mode == "parallel" else 0)
        self.check(backlog)
        return done

    def _native(self, backlog: Backlog, threads: int) -> Drain:
        target = self.target
        target.run("STOP SLAVE", "RESET SLAVE ALL")
        if target.run("SELECT @@log_bin")[0][0]:
            target.run("RESET MASTER")
        target.run(
            f"SET GLOBAL slave_parallel_threads={threads}",
            "SET GLOBAL slave_parallel_mode='optimistic'",
            f"SET GLOBAL gtid_slave_pos='{backlog.start}'",
            f"CHANGE MASTER TO master_host='127.0.0.1', master_port={self.source.port}, master_user='otter', "
            "master_password='otter', master_use_gtid=slave_pos",
        )
        assert target.process
        clock = Clock({target.process.pid: "target"}, backlog.workload.rows)
        target.run("START SLAVE")
        if target.run(f"SELECT MASTER_GTID_WAIT('{backlog.end}', {PATIENCE})")[0][0] != 0:
            raise RuntimeError(f"native replication: {self.target.run('SHOW SLAVE STATUS')}")
        drain = clock.read()
        target.run("STOP SLAVE", "RESET SLAVE ALL")
        return drain

    def _otter(self, backlog: Backlog) -> Drain:
        cluster, channel = self.cluster, f"{backlog.schema}"
        self.target.run("DROP DATABASE IF EXISTS retl")
        cluster.apply(self._document(backlog, channel))
        began = time.monotonic()
        cluster.start(channel)
        pipeline = cluster.pipeline(channel).id
        with Mark(self.target, pipeline) as mark:
            wait_until(lambda: mark.number() >= 1, 60, "the chain")
            startup = time.monotonic() - began
            clock = Clock(self._processes(), backlog.workload.rows)
            wait_until(lambda: mark.gtid() == backlog.end, PATIENCE, "the backlog's end")
            drain = clock.read(lambda: self._processes(channel))
        drain.startup = startup
        view = cluster.pipeline(channel)
        if view.conflicts or view.parked:
            raise RuntimeError(f"{backlog.workload.name}: {view.conflicts} conflicts, {view.parked} parked rows")
        cluster.stop(channel)
        return drain

    def _processes(self, channel: str = "") -> dict[int, str]:
        assert self.target.process and self.source.process
        databases = {self.target.process.pid: "target", self.source.process.pid: "source"}
        return databases | (self.cluster.processes(channel) if channel else {})

    def _document(self, backlog: Backlog, channel: str) -> dict[str, Any]:
        account = {"host": "127.0.0.1", "username": "otter", "password": "otter"}
        pairs = [{"source": f"{backlog.schema}.{table}"} for table in backlog.workload.tables]
        return {
            "dataSources": [{"name": "source", **account, "port": self.source.port},
                            {"name": "target", **account, "port": self.target.port}],
            "channels": [{"name": channel, "pipelines": [
                {"name": channel, "source": "source", "target": "target", "selectNodes": ["node1"],
                 "loadNodes": [f"node{self.cluster.nodes}"], "pairs": pairs, "start": {"gtid": backlog.start},
                 "parameters": self.parameters}]}],
        }  # fmt: skip


class Mark:
    """Looks at the pipeline's mark on the target."""

    def __init__(self, server: Mariadb, pipeline: int) -> None:
        self._connection = server.connect()
        self._pipeline = pipeline

    def __enter__(self) -> Mark:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def number(self) -> int:
        return int(self._column("process_id") or 0)

    def gtid(self) -> str:
        return str(self._column("gtid"))

    def _column(self, name: str) -> Any:
        with self._connection.cursor() as cursor, contextlib.suppress(pymysql.ProgrammingError):
            cursor.execute(f"SELECT {name} FROM retl.otter_mark WHERE pipeline_id = %s", (self._pipeline,))
            row = cursor.fetchone()
            return row[0] if row else None
        return None


class Clock:
    """Wall clock, and CPU of processes; those that are named only at the end are counted from their begin."""

    def __init__(self, processes: dict[int, str], rows: int) -> None:
        self._rows = rows
        self._cpu = {pid: _cpu(pid) for pid in _all() | processes.keys()}
        self._names = processes
        self._began = time.monotonic()

    def read(self, name: Callable[[], dict[int, str]] = dict) -> Drain:
        seconds = time.monotonic() - self._began
        after = {pid: _cpu(pid) for pid in _all()}
        drain = Drain(seconds)
        for pid, what in (self._names | name()).items():
            used = (after.get(pid, 0.0) - self._cpu.get(pid, 0.0)) * 1e6 / self._rows
            drain.cpu[what] = round(drain.cpu.get(what, 0.0) + used, 2)
            drain.rss[what] = round(drain.rss.get(what, 0.0) + _peak(pid), 1)
        return drain


def _all() -> set[int]:
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def _peak(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


# -- the report -------------------------------------------------------------------------------------------------------


def summary(workload: Workload, drains: dict[str, list[Drain]]) -> dict[str, Any]:
    """Medians; ratios are of medians of the same run."""
    seconds = {mode: statistics.median(drain.seconds for drain in runs) for mode, runs in drains.items()}
    rates = {mode: round(workload.rows / value) for mode, value in seconds.items()}
    ours = drains["otter"]
    cpu = {name: round(statistics.median(d.cpu.get(name, 0.0) for d in ours), 1) for name in ours[-1].cpu}
    return {
        "workload": workload.name,
        "rows": workload.rows,
        "to_parallel": round(seconds["parallel"] / seconds["otter"], 2),
        "to_serial": round(seconds["serial"] / seconds["otter"], 2),
        "rows_per_second": rates,
        "spread": {mode: [round(d.seconds, 2) for d in runs] for mode, runs in drains.items()},
        "startup": round(statistics.median(d.startup for d in ours), 2),
        "cpu_us_per_row": {name: value for name, value in cpu.items() if value >= 0.05},
        "native_target_cpu_us_per_row": {
            mode: round(statistics.median(d.cpu["target"] for d in drains[mode]), 1) for mode in ("serial", "parallel")
        },
        "peak_rss_mib": {name: max(d.rss.get(name, 0.0) for d in ours) for name in ours[-1].rss},
    }


def line(found: dict[str, Any]) -> str:
    rates, native = found["rows_per_second"], found["native_target_cpu_us_per_row"]
    costs = sorted(found["cpu_us_per_row"].items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {value:g}" for name, value in costs if value >= 0.5)
    return (
        f"{found['workload']:24} {found['to_parallel']:6.2f} x 4 threads {found['to_serial']:6.2f} x serial   "
        f"rows/s: otter {rates['otter']}, 4 threads {rates['parallel']}, serial {rates['serial']}   "
        f"CPU µs/row: {shown} (native's target: 4 threads {native['parallel']:g}, serial {native['serial']:g})"
    )


def machine() -> str:
    rows = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((row.partition(":")[2].strip() for row in rows if "model name" in row), platform.machine())
    return f"{os.cpu_count()} x {model}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("bench.catchup", description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=40_000, help="rows of the 1-row workload; others have more (40000)")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--workload", default="", help="only workloads whose name holds these words")
    parser.add_argument("--nodes", type=int, choices=(1, 2), default=2, help="1: select and load on one node (2)")
    parser.add_argument("--target-binlog", action="store_true", help="the target writes a binlog, in all modes")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=N", help="a pipeline parameter")
    parser.add_argument("--only-otter", action="store_true", help="while profiling: no native drains, no ratios")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


@contextlib.contextmanager
def _world(arguments: argparse.Namespace) -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="otter-catchup-"))
    binlog = ("--log-bin=binlog", "--log-slave-updates") if arguments.target_binlog else ()
    source = Mariadb(folder / "source", server_id=1, options=(*SOURCE_OPTIONS, "--innodb-flush-log-at-trx-commit=2"))
    target = Mariadb(folder / "target", server_id=2, options=(*STRICT_OPTIONS, "--skip-slave-start", *binlog))
    parameters = {name: int(value) for name, _, value in (given.partition("=") for given in arguments.set)}
    try:
        with started(source, target), Cluster(folder, arguments.nodes) as cluster:
            yield Bench(source, target, cluster, parameters)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    modes = MODES[2:] if arguments.only_otter else MODES
    found = []
    print(machine(), flush=True)
    with _world(arguments) as bench:
        for workload in workloads(arguments.rows):
            if arguments.workload in workload.name:
                drains = _drain_in_turns(bench, workload, modes, arguments.repeat)
                if not arguments.only_otter:
                    found.append(summary(workload, drains))
                    print(line(found[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "workloads": found}, indent=1) + "\n")
    return 0


def _drain_in_turns(bench: Bench, workload: Workload, modes: Sequence[str], repeat: int) -> dict[str, list[Drain]]:
    backlog = bench.backlog(workload)
    drains: dict[str, list[Drain]] = {mode: [] for mode in modes}
    for _ in range(repeat):
        for mode in modes:
            drain = bench.drain(backlog, mode)
            drains[mode].append(drain)
            speed = f"{drain.seconds:.2f} s ({workload.rows / drain.seconds:.0f} rows/s)"
            cpu = f", CPU µs/row {drain.cpu}" if modes != MODES else ""
            print(f"  {workload.name} {mode}: {speed}{cpu}", file=sys.stderr, flush=True)
    return drains


if __name__ == "__main__":
    sys.exit(main())
