import sys

from osloom.cli.main import main

sys.exit(main())
