"""A node: a supervisor. It starts a process for each side of each pipeline, serves files and RPC, and reports."""
