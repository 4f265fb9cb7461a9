"""Frames of clips by index, decoded in child processes and kept around the position that is looked at."""
