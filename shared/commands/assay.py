"""``python -m assay``: the command where its script is not on the path. The wheel holds this file as ``assay.py``."""

from shared.cli import main

if __name__ == "__main__":
    main()
