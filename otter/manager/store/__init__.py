"""Where the manager keeps its objects: SQLite by default, MySQL/MariaDB by one setting.

Blocking: call it in a thread.
"""
