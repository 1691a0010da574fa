"""Where the package under test and the contract lie; importing this puts the package on the path."""

import pathlib
import sys

SDK = pathlib.Path(__file__).resolve().parent.parent
ROOT = SDK.parent.parent
VECTORS = ROOT / "proto" / "vectors.json"
MAKE_VECTORS = ROOT / "proto" / "make_vectors.py"
SUBJECT = pathlib.Path(__file__).with_name("subject.py")

if str(SDK) not in sys.path:
    sys.path.insert(0, str(SDK))
