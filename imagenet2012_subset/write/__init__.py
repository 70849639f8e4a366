"""Writes planned shards, and moves the dataset to its final place."""
