"""A TCP proxy on a node's external address: a link that can be slowed, cut, and mended."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from .cluster import EXTERNAL_IP, Cluster


class Proxy:
    """Listens on ``EXTERNAL_IP:port`` and carries to ``127.0.0.1:port``. ``rate``: bytes a second, 0 = all."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.rate = 0
        self.carried = 0  # bytes towards whoever connected
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = socket.create_server((EXTERNAL_IP, port))
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    @contextlib.contextmanager
    def before(cls, cluster: Cluster, nid: int) -> Iterator[tuple[Proxy, Proxy]]:
        """Before the communication and the download port of a node."""
        proxies = tuple(cls(port) for port in cluster.ports[nid])
        try:
            yield proxies  # type: ignore[misc]
        finally:
            for proxy in proxies:
                proxy.close()

    def cut(self) -> None:
        """Breaks every connection; new ones are carried again."""
        with self._lock:
            cut, self._open = self._open, set()
        for end in cut:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.port), 10)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                with self._lock:
                    self._open |= {near, far}
                threading.Thread(target=self._carry, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._carry, args=(far, near, True), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16384):
                target.sendall(data)
                if counted:
                    self.carried += len(data)
                    if self.rate:
                        time.sleep(len(data) / self.rate)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source, target}
