"""A report on one suspect file."""
