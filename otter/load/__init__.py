"""Load: a batch becomes few multi-row statements and one transaction with its mark. ``stage.py`` is the only way in.

``shape`` what a source table looks like on the target · ``plan`` which changes go together (pure) · ``statement`` their
text · ``conflict`` the slow path, row by row · ``stage`` the transaction. Nothing here knows a znode or a pipe.
"""
