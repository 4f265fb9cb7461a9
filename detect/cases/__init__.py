"""Custody of inspected files: hashes at intake and exit, the chained log, checks, export and comparison of cases."""
