"""The command line: one file per command. It speaks to the manager through the REST API only.

Not here: anything that decides. Starting a node or manager is one call into that room's ``app``.
"""
