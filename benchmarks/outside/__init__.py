"""Detectors on other people's fakes and their reals: ``python -m benchmarks outside``.

* ``index``: the folder's list of files, checked
* ``faces``: faces found once and kept in a work folder
* ``forms``: the forms that are scored: as they are, brought to one size and format, and degraded
* ``softness``: detail inside the face against a ring around it, a statistic that needs no training
* ``scores``: one logit a file, by any detector
* ``measure``: areas, paired accuracies and spreads with their intervals
* ``report``: tables, and the result that is saved
"""
