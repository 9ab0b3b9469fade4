"""Otter: copies row changes of MySQL and MariaDB between datacenters, continuously and exactly once."""

__version__ = "0.1.0"
