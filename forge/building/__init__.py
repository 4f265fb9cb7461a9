"""Builds whole datasets from one settings file.

``spec`` holds the settings, ``plan`` lists every clip and task (stills by ``plan_stills``, re-enactments by
``plan_drives``), ``steps``, ``drives``, ``faces``, ``stills`` and ``encode`` are the tasks, ``build`` runs the missing
ones and lists the clips. ``networks`` compares the people of networks with those of a set; ``speech`` plans a set of
speech beside them.
"""
