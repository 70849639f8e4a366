"""Measures the time, memory and disk use of builds.

Each module here is a command, run from the top of a checkout:
`python -m benchmarks.compare`. `make/` makes what they read, `measure/` measures.
"""
