import sys

from resemb_gnn.cli import main

sys.exit(main())
