"""What the tests start does not outlive them."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest
from support.paths import ROOT

HELD = """
import sys, time
from pathlib import Path
from support.processes import running

with running([sys.executable, "-c", "import time; time.sleep(300)"], Path(sys.argv[1])) as process:
    print(process.pid, flush=True)
    time.sleep(300)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with who started it")
def test_a_server_ends_with_the_tests_even_if_they_are_killed(tmp_path):
    tests = subprocess.Popen(
        [sys.executable, "-c", HELD, str(tmp_path / "log")], cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True
    )
    with tests:
        server = psutil.Process(int(tests.stdout.readline()))
        assert server.is_running()
        tests.kill()
        tests.wait(30)
        end = time.monotonic() + 30
        while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end, "the server is still there"
            time.sleep(0.02)
