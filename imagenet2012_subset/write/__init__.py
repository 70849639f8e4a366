"""From plans to a dataset in its final place.

The only package that creates, moves and removes files of a dataset.
"""
