"""Rows in: the binlog stream, transaction assembly, positions, generated decoders. Must not hold: SQL of ours, znodes,
what a channel or a pipe is. Ways in: ``stream.Stream``, ``position``, ``decoder``."""
