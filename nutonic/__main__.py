"""``python -m nutonic``."""

from nutonic.cli import main

main()
