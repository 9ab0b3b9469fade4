"""Rows out: the one door to PyMySQL. Connections, target schemas, SQL text, the ``retl`` tables, checks of a server.

Blocking, for threads. What to apply and in which order is decided in ``load``, not here.
"""
