"""The command `check`: reports what a manual directory or a prepared dataset contains.

Writes nothing but the index of an archive, and that only where datasets are built.
"""
