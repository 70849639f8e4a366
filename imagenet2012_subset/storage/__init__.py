"""Files as the road reads and keeps them: many reads under way at once, and syncs.

Imports `errors` alone. Nothing else opens, reads or syncs by the operating system's
calls.
"""
