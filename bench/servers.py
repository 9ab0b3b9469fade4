"""Private servers on loopback for demo, benchmarks and tests: MariaDB and ZooKeeper, each in its own folder.

Nothing here is a system service; every server is a child process that is stopped by its own id.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql

#: Below the range from which the kernel takes ports for outgoing connections (32768 and up).
_PORTS = range(15000, 32000)
_given: set[int] = set()


def free_port() -> int:
    """A loopback port that nobody listens on right now; never the same twice in one process."""
    while True:
        port = random.choice(_PORTS)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def wait_until(ready: Any, seconds: float, what: str) -> None:
    """Polls ``ready()`` until it is true; raises TimeoutError that names ``what``."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not ready after {seconds:.0f} s")
        time.sleep(0.05)


@dataclass
class Server:
    """A child process with a folder and a port. ``start``/``stop`` may be called again and again."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        self.prepare()
        with (self.folder / "out.log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, start_new_session=True)
        wait_until(self._up, 60, f"{type(self).__name__} in {self.folder} (see out.log there)")

    def _up(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"{type(self).__name__} ended at once, see {self.folder}/out.log")
        return self.answers()

    def stop(self, sig: int = signal.SIGTERM) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


#: What a source of ours must be set to (``otter doctor`` checks the same).
SOURCE_OPTIONS = (
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--binlog-row-image=FULL",
    "--binlog-row-metadata=FULL",
    "--gtid-strict-mode=1",
)
#: Durable settings, the same on every target that is compared.
STRICT_OPTIONS = ("--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1")
#: For tests that do not measure: no waiting for disks.
RELAXED_OPTIONS = ("--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0")


#: MariaDB refuses to run as root unless it is told to, and refuses to change its user otherwise.
AS_ROOT = ("--user=root",) if os.geteuid() == 0 else ()


@dataclass
class Mariadb(Server):
    """A MariaDB with a ``root`` and an ``otter`` account (password ``otter``), both over loopback TCP."""

    server_id: int = 1
    options: Sequence[str] = (*SOURCE_OPTIONS, *RELAXED_OPTIONS)

    def prepare(self) -> None:
        super().prepare()
        self._temporary.mkdir(exist_ok=True)
        if (self.folder / "data" / "mysql").exists():
            return
        template = Path(os.environ.get("OTTER_TEST_TEMPLATE", "")) if "OTTER_TEST_TEMPLATE" in os.environ else None
        if template and (template / "mysql").exists():
            shutil.copytree(template, self.folder / "data")
            return
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'data'}", *AS_ROOT,
             f"--tmpdir={self._temporary}",
             "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if template:
            with contextlib.suppress(FileExistsError):
                shutil.copytree(self.folder / "data", template)

    @property
    def _temporary(self) -> Path:
        """Of its own: servers that start at the same time were seen to take each other's temporary tables in /tmp."""
        return self.folder / "tmp"

    def command(self) -> list[str]:
        return [
            "mariadbd", "--no-defaults", f"--datadir={self.folder / 'data'}", *AS_ROOT, f"--port={self.port}",
            f"--tmpdir={self._temporary}",
            "--bind-address=127.0.0.1", f"--socket={self.folder / 's.sock'}", f"--server-id={self.server_id}",
            f"--gtid-domain-id={self.server_id}", "--innodb-buffer-pool-size=256M", "--innodb-log-file-size=128M",
            "--character-set-server=utf8mb4", "--max-allowed-packet=256M", "--skip-name-resolve",
            f"--pid-file={self.folder / 'pid'}", "--performance-schema=OFF", *self.options,
        ]  # fmt: skip

    def answers(self) -> bool:
        try:
            with self.connect() as connection, connection.cursor() as cursor:
                cursor.execute("CREATE USER IF NOT EXISTS otter@'%' IDENTIFIED BY 'otter'")
                cursor.execute("GRANT ALL ON *.* TO otter@'%' WITH GRANT OPTION")
        except pymysql.MySQLError:
            return False
        return True

    def connect(self, database: str | None = None) -> pymysql.Connection[Any]:
        """A root connection with autocommit."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database, charset="utf8mb4", autocommit=True,
            local_infile=False,
        )  # fmt: skip

    def run(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Runs the statements in one session and returns the rows of the last."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())


@dataclass
class Zookeeper(Server):
    """A standalone ZooKeeper; ``address`` is its ``host:port``."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        config = self.folder / "zoo.cfg"
        config.write_text(
            f"tickTime=500\ndataDir={self.folder / 'data'}\nclientPort={self.port}\nclientPortAddress=127.0.0.1\n"
            "admin.enableServer=false\nminSessionTimeout=1000\nmaxSessionTimeout=60000\nmaxClientCnxns=0\n"
            "4lw.commands.whitelist=*\n"
        )
        return [
            "java", "-cp", "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar", "-Xmx128m",
            "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "org.apache.zookeeper.server.ZooKeeperServerMain",
            str(config),
        ]  # fmt: skip

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"ruok")
                return connection.recv(4) == b"imok"
        except OSError:
            return False


@contextlib.contextmanager
def started(*servers: Server) -> Iterator[None]:
    """Starts the servers in order and stops them in reverse."""
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        yield
