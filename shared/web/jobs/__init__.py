"""Jobs of the page: command lines of Assay in child processes, with limits, a queue and a record in files."""
