"""Extract: a run of source transactions becomes a batch that can travel."""
