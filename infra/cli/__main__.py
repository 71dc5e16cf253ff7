"""`python -m infra.cli`, which run.py becomes."""

from infra.cli.app import app

app(prog_name="run.py")
