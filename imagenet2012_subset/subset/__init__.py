"""Which images a config selects: reads subset lists, and opens no image."""
