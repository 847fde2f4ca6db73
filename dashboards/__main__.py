"""`python -m dashboards [FOLDER]`: render the dashboards, into the chart if no folder is named."""

import argparse
from pathlib import Path

from dashboards.rendering import FOLDER, write

parser = argparse.ArgumentParser(description="Render the dashboards.")
parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
write(parser.parse_args().folder)
