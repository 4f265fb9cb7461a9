"""Custody of inspected files: hashes at intake and exit, the hash-chained log, checks, export and comparison of cases."""
