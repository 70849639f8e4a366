"""A finished dataset, read at random in whatever process.

Imports nothing of the package. Touches what TFDS's own data sources open.
"""
