"""`python -m irnas_lib.restore`."""

import sys

from irnas_lib.restore import main

if __name__ == "__main__":
    sys.exit(main())
