import sys

from osloom.cli.start import start

sys.exit(start())
