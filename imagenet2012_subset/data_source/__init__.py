"""Random access to a dataset, also from forked processes.

Does not import the rest of the package.
"""
