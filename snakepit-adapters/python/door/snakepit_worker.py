"""Stands on the PYTHONPATH of a worker in the place of the SDK: lets an installed one pass, else the copy that the host unpacked.

Whatever is on PYTHONPATH comes before what is installed. So the copy is not there itself: it lies in `package` beside this file,
and is put at the very end of the path before the import is made once more.
"""

import os
import sys

_folder = os.path.dirname(os.path.abspath(__file__))
_package = os.path.join(_folder, "package")
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _folder]
sys.path.append(_package)
if sys.dont_write_bytecode:
    # Whoever asked for that (many images do) meant folders of their own. This one is the host's, and a worker that compiles
    # the SDK takes twice as long to start.
    from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader

    class _KeepsBytecode(SourceFileLoader):
        def get_code(self, fullname):
            sys.dont_write_bytecode = False
            try:
                return super().get_code(fullname)
            finally:
                sys.dont_write_bytecode = True

    for _entry in (_package, os.path.join(_package, "snakepit_worker")):
        sys.path_importer_cache[_entry] = FileFinder(_entry, (_KeepsBytecode, SOURCE_SUFFIXES))
del sys.modules[__name__]
# The import that has led here gives out what stands in `sys.modules` when this file has ended, and that is the SDK.
import snakepit_worker as _sdk  # noqa: E402

# A thread that imported it at the same moment may hold on to this module, and must find everything here as well.
globals().update(vars(_sdk))
