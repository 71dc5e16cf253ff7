"""`python -m infra.cost`: docs/costs.md on standard output."""

import sys

from infra.cost.page import page

sys.stdout.write(page())
