"""The invariants: each a pure function of a history, in a file of its own named ``i<number>_<what it asks>.py``.

A check's module has ``TITLE`` and ``check(history) -> Finding``; adding the file is all it takes to add a check.
"""
