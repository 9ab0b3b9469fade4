"""Where a node is reached: its ip, or its external ip where the node (or the pipeline) says so."""

from __future__ import annotations

from otter.model.config import Node


def host(node: Node, use_external: bool) -> str:
    address = node.external_ip if node.external_ip and (use_external or node.use_external_ip) else node.ip
    return f"[{address}]" if ":" in address else address


def rpc_url(node: Node, use_external: bool = False) -> str:
    return f"http://{host(node, use_external)}:{node.port}"


def download_url(node: Node, use_external: bool = False) -> str:
    return f"http://{host(node, use_external)}:{node.download_port}"
