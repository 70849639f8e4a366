"""Measures builds in separate processes, and compares their datasets."""
