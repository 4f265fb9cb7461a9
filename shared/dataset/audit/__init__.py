"""Audits of datasets: measures shortcuts, which separate real clips from fakes without the face.

* ``config``: settings
* ``facts``: features of a file without its pictures
* ``regions``: features of a region of a picture
* ``samples``: both, of each clip, cached
* ``probes``: classifiers of the label by some of these features
* ``areas``: areas under the ROC curve with intervals over groups of people
* ``hashes``, ``identities``: pictures and people in two splits
* ``findings``, ``audit``, ``report``: result values; the audit; JSON, plots and page
"""
