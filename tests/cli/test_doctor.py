"""regionmed doctor: what it finds, and the fix beside each thing that is not in order."""

import subprocess
import sys

from regionmed.cli.doctor import FREE_GIGABYTES, examine


def doctor_without(module: str) -> subprocess.CompletedProcess[str]:
    """The command in a process where `module` cannot be imported."""
    source = (
        f"import sys; sys.modules[{module!r}] = None; from regionmed.cli.main import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", source, "doctor"], capture_output=True, text=True, check=False
    )


def test_every_failing_check_carries_its_fix(tmp_path):
    checks = {check.name: check for check in examine(tmp_path)}
    assert checks["torch"].fix is None
    assert checks["torch"].needed
    assert not checks["disk here"].needed
    assert (checks["disk here"].fix is None) == (
        float(checks["disk here"].found.split()[0]) >= FREE_GIGABYTES
    )


def test_a_needed_library_that_does_not_load_ends_in_one_line_and_status_1():
    done = doctor_without("timm")
    assert done.returncode == 1
    assert done.stderr.startswith("UsageError: needed and not in order: timm;")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "-> pip install" in done.stdout
