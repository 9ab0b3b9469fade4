"""Signed download URLs that expire: only who has the cluster key can make one, and each names one file and one node.

The node that signs is the node that serves, so its clock alone decides when a URL is over."""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

from otter.rpc.key import derive

PREFIX = "/download/"
SIGNATURE_HEADER = "X-Otter-Signature"  # in place of the query's ``sig``: URLs are logged, headers are not


def sign(base_url: str, file: str, nid: int, expires: float, key: bytes) -> str:
    """A URL by which node ``nid`` may get ``file`` until ``expires`` (seconds since the epoch)."""
    path = PREFIX + file
    query = {"nid": nid, "expires": int(expires), "sig": _signature(key, path, str(nid), str(int(expires)))}
    return f"{base_url.rstrip('/')}{path}?{urlencode(query)}"


def verify(path: str, query: Mapping[str, str], now: float, key: bytes) -> str | None:
    """Why a request for ``path`` must be refused, in a sentence; None when it is good. HEAD counts as GET."""
    nid, expires, signature = (query.get(name, "") for name in ("nid", "expires", "sig"))
    if not (nid and expires and signature):
        return "this address needs nid, expires and sig: only Otter's nodes may download here"
    good = _signature(key, path, nid, expires)
    if not hmac.compare_digest(good.encode(), signature.encode("utf-8", "surrogatepass")):
        return "the signature of this address does not fit: have both nodes the same conf/cluster.key?"
    if int(expires) <= now:
        return f"this address expired {now - int(expires):.0f} s ago: the batch must be sent again"
    return None


def _signature(key: bytes, path: str, nid: str, expires: str) -> str:
    words = "\n".join(("GET", path, nid, expires))
    return hmac.new(_download_key(key), words.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


@functools.lru_cache(maxsize=4)
def _download_key(key: bytes) -> bytes:
    return derive(key, "download")
