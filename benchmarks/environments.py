"""Environments for libraries that want other versions than we do, made at their first use."""

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
OUT = HERE / "out"
# what pip installs with a peer and would break it: a wheel for another build of torch than ours
UNWANTED = {"openvino": "torchvision"}


def environment(name: str, folder: Path, *options: str) -> Path:
    """Return the python of an environment for what `peers/{name}.txt` lists.

    It stands on ours, so that all have the same torch; what is listed in another version than we
    have is installed in front of it, by pip with these `options`. Nothing of ours is changed.
    """
    place, wanted = folder / name, HERE / "peers" / f"{name}.txt"
    python, ready = place / "bin" / "python", place / "ready"
    if not ready.exists() or ready.read_text() != wanted.read_text():
        print(f"setting up {name} in {place}", file=sys.stderr)
        venv.create(place, with_pip=True, clear=True)
        site = next((place / "lib").glob("python*/site-packages"))
        ours = [path for path in sys.path if path.endswith("site-packages")]
        (site / "beneath.pth").write_text("\n".join(ours) + "\n")
        install = ["install", "--quiet", "--no-warn-conflicts", *options, "--requirement"]
        command = [str(python), "-m", "pip", *install, str(wanted)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{name} cannot be installed:\n{done.stderr}")
        if name in UNWANTED:
            remove = ["uninstall", "--quiet", "--yes", UNWANTED[name]]
            subprocess.run([str(python), "-m", "pip", *remove], check=True)
        ready.write_text(wanted.read_text())
    return python
