"""Data source passwords: clear text comes in, ``enc:...`` stays. What cannot be unsealed here is refused at once."""

from __future__ import annotations

import msgspec

from otter.errors import BadConfig
from otter.manager.refusal import Refusal
from otter.model.config import DataSource
from otter.rpc.secrets import PREFIX, seal, unseal


class Vault:
    """Seals under the cluster key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sealed(self, new: DataSource, old: DataSource | None) -> DataSource:
        """``new`` with its password sealed; "" and the clear text of the old one keep the old one as it is."""
        if old is not None and new.password in ("", self._clear_or_empty(old)):
            return msgspec.structs.replace(new, password=old.password)
        if new.password.startswith(PREFIX):
            self.clear(new)
        return msgspec.structs.replace(new, password=seal(self._key, new.password))

    def clear(self, source: DataSource) -> DataSource:
        """With its password in clear text, for a connection; raises :class:`Refusal` under another cluster key."""
        try:
            return msgspec.structs.replace(source, password=unseal(self._key, source.password))
        except BadConfig as error:
            raise Refusal(f"data source {source.name}: its password {error.hint}", field="password") from None

    def _clear_or_empty(self, source: DataSource) -> str:
        try:
            return unseal(self._key, source.password)
        except BadConfig:
            return ""


def hidden(source: DataSource) -> DataSource:
    """As the API shows it."""
    return msgspec.structs.replace(source, password="")
