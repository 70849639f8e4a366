"""What a build takes in time, memory and disk, measured against another.

Each module here is a command, run from the top of a checkout:
`python -m benchmarks.compare`. `make/` makes what they read, `measure/` measures.
"""
