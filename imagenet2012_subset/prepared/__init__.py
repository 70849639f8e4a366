"""A dataset that already exists: its info, provenance, file formats and records.

Shared by `write`, `check` and `page`. Imports none of them.
"""
