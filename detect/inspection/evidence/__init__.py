"""Evidence of a report that needs no training. A method a module; :mod:`.collect` lists and runs them.

The methods that decode run in the child process (:mod:`shared.video.child`); none says whether a file is forged.
"""
