"""``python -m assay``: for installations without the script on PATH. In the wheel this file is ``assay.py``."""

from shared.cli import main

if __name__ == "__main__":
    main()
