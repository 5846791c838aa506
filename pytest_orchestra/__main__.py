"""``python -m pytest_orchestra`` is the ``orchestra`` command."""

import sys

from pytest_orchestra.cli import main

if __name__ == "__main__":
    sys.exit(main())
