"""The command `check`: reports what a manual directory or a prepared dataset contains.

Only writes the index of an archive, and only where datasets are built.
"""
