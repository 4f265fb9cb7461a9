"""Builds whole datasets from one settings file.

``spec`` holds the settings, ``plan`` lists every clip and task (stills by ``plan_stills``), ``steps``, ``drives``,
``stills`` and ``encode`` are the tasks, ``build`` runs the missing ones and lists the clips. ``speech`` plans a set of
speech beside them.
"""
