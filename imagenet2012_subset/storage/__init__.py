"""Finds, reads and syncs files on a disk or in a bucket."""
