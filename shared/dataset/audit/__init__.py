"""Audits of datasets: measured shortcuts instead of promises.

* ``config``: settings
* ``facts``: what a file says without its pictures
* ``regions``: what a part of a picture says
* ``samples``: both, of every clip, cached
* ``probes``: models that are shown one of these and asked for the label
* ``areas``: areas under the ROC curve with intervals over groups of people
* ``hashes``, ``identities``: pictures and people in two splits
* ``findings``, ``audit``, ``report``: what was found; finding it; JSON, pictures and page
"""
