"""Common parts of training: run folders, exact resumption, distributed processes and stop signals."""
