"""Builds whole datasets from one settings file.

``spec`` holds the settings, ``plan`` lists every clip and task, ``steps`` and ``encode`` are the tasks, ``build`` runs
the missing ones and lists the clips.
"""
