"""Parses the tar format into names, offsets and sizes."""
