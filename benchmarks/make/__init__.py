"""Makes what benchmarks read: archives, photos, lists, a disk in memory.

Knows nothing of the package that is measured.
"""
