"""Write the pages of the documentation's site into a folder: `python workflows/write_documentation.py FOLDER`, as `make docs` does."""

import shutil
import sys
from pathlib import Path

from documentation.pages import write_pages

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    write_pages(folder)
