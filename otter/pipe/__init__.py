"""A batch from here to there: packed, by the pipe that fits, and checked before anybody believes it.

``outbox`` and ``inbox`` are the way in. No znode, no ticket order and no row value is known here.
"""
