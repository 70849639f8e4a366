"""Plans the order and the shards of each split, without opening files."""
