"""Inspection of one suspect file: verdict, evidence and report."""
