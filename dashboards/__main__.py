"""`python -m dashboards [FOLDER]`: render the dashboards, into the chart if no folder is named."""

import sys
from pathlib import Path

from dashboards.rendering import FOLDER, write

write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
