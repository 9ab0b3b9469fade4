"""Otter copies row changes of MySQL/MariaDB between datacenters; ``docs/architecture.md`` is the map."""

__version__ = "0.1.0"  # the same as in pyproject.toml
