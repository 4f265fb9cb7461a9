"""Signed provenance (C2PA): who signs, what is signed, and what a file says of itself."""
