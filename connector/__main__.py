"""`python -m connector` is the command `forbear`."""

import sys

from connector.cli import main

sys.exit(main())
