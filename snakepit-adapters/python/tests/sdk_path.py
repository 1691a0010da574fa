"""Where the package under test and the contract lie; importing this puts the package on the path."""

import importlib.util
import pathlib
import sys

SDK = pathlib.Path(__file__).resolve().parent.parent
ROOT = SDK.parent.parent
VECTORS = ROOT / "proto" / "vectors.json"
MAKE_VECTORS = ROOT / "proto" / "make_vectors.py"
SUBJECT = pathlib.Path(__file__).with_name("subject.py")

if str(SDK) not in sys.path:
    sys.path.insert(0, str(SDK))


def has(module, what):
    """Whether a module that the SDK can do without is installed. Says so on stderr where a test is skipped for its lack."""
    if importlib.util.find_spec(module) is not None:
        return True
    print(f"SKIPPED {what}: {module} is not installed", file=sys.stderr)
    return False
