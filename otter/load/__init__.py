"""Load: a batch becomes few multi-row statements and one transaction with its mark. ``stage.py`` is the only way in.

``shape`` what a source table looks like on the target · ``plan`` which changes go together (pure; ``group`` and
``levels`` are its parts) · ``statement`` their text · ``conflict`` the slow path, row by row · ``parking`` rows that
wait · ``stage`` the transaction. Nothing here knows a znode or a pipe.
"""
