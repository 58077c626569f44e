"""`python -m rhetor` is the command `rhetor`."""

import sys

from rhetor.cli import main

if __name__ == "__main__":
    sys.exit(main())
