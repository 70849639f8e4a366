"""Runs in processes of their own: what they took, and whether datasets are equal."""
