"""The local page of ``assay serve``: rooms for cases, runs, sets and faces, and the queue of their jobs."""
