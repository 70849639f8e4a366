"""From plans to a dataset in its final place.

Imports `plan`, `choose`, `find`, `storage` and `errors`. Alone creates, moves and
removes files of a dataset.
"""
