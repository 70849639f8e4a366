"""The tar format: from the bytes of a file to names, offsets and sizes."""
