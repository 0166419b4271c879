"""`python -m irnas_lib.restore`."""

import sys

from irnas_lib.restore import main

sys.exit(main())
