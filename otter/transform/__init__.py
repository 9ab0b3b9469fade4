"""Transform: names of the source become names of the target. Takes a batch, returns a batch."""
