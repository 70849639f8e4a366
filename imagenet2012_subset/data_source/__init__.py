"""A finished dataset, read at random in any process.

Imports nothing of the package.
"""
