"""Reading of our exports by the libraries that they are for: `make peers`.

Makes their environments at the first use and runs the tests marked `peers`, each where its
libraries are. Where a library cannot be loaded its test is skipped everywhere else; here that is a
failure.
"""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.environments import OUT, environment

ROOT = Path(__file__).parent.parent
# the tests that are for each environment; PyLate wants another sentence-transformers than ours
ENVIRONMENTS = {"readers": "peers and not pylate", "pylate": "pylate"}
TESTS = ["tests/unit/stages/test_exports.py", "tests/unit/learning/test_colbert.py"]


def main() -> None:
    """Run the tests; exit with 1 if one fails or is skipped."""
    for name, marked in ENVIRONMENTS.items():
        run(name, marked)


def run(name: str, marked: str) -> None:
    """Run the tests of one environment."""
    # the list is whole: what these libraries ask for beyond it would replace half of ours
    python = environment(name, OUT / "environments", "--no-deps")
    report = OUT / f"{name}.xml"
    report.unlink(missing_ok=True)
    options = ["-m", marked, "-v", "-W", "default", "-p", "no:cacheprovider"]
    subprocess.run(
        [str(python), "-m", "pytest", *TESTS, *options, f"--junitxml={report}"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"},
    )
    if not report.exists():
        sys.exit("the tests could not be run")
    suite = next(ElementTree.parse(report).iter("testsuite"))
    tests, *bad = (int(suite.get(what, 0)) for what in ("tests", "errors", "failures", "skipped"))
    if not tests or any(bad):
        sys.exit(f"of {tests} tests {sum(bad)} did not pass")


if __name__ == "__main__":
    main()
