"""`python -m zoo COMMAND`."""

from zoo import cli

raise SystemExit(cli.main())
