"""``python -m nutonic``."""

from __future__ import annotations

from nutonic.cli.main import main

main()
