"""Stands on the PYTHONPATH of a worker in the place of the SDK: lets an installed one pass, else the copy that the host unpacked.

Whatever is on PYTHONPATH comes before what is installed. So the copy is not there itself: it lies in `package` beside this file,
and is put at the very end of the path before the import is made once more.
"""

import os
import sys

_folder = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _folder]
sys.path.append(os.path.join(_folder, "package"))
del sys.modules[__name__]
# The import that has led here gives out what stands in `sys.modules` when this file has ended, and that is the SDK.
import snakepit_worker as _sdk  # noqa: E402

# A thread that imported it at the same moment may hold on to this module, and must find everything here as well.
globals().update(vars(_sdk))
