"""Files on a disk or in a bucket: found, read at positions, and synced.

Only this package opens, reads and syncs files with the system's own calls.
"""
