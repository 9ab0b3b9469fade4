"""Select: the binlog of one source as runs of whole transactions, our own echoes left out."""
