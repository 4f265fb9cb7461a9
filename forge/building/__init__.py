"""Builds whole datasets from one settings file.

``spec`` says what is wanted, ``plan`` lists every clip and task, ``steps`` and ``encode`` are the tasks, ``build`` runs
what is missing and lists what was made.
"""
