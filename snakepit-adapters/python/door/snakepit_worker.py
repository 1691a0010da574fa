"""Stands on the PYTHONPATH of a worker in the place of the SDK: lets an installed one pass, else the copy that the host unpacked.

Whatever is on PYTHONPATH comes before what is installed. So the copy is not there itself: it lies in `package` beside this file,
and is put at the very end of the path before the import is made once more.
"""

import os
import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader

_folder = os.path.dirname(os.path.abspath(__file__))
_package = os.path.join(_folder, "package")
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _folder]
sys.path.append(_package)

# Whoever asked for none (many images do) meant folders of their own. This one is the host's, and a worker that compiles the SDK
# takes twice as long to start. Where bytecode goes elsewhere, that is no folder of the host's.
_keeps_anyway = sys.dont_write_bytecode and sys.pycache_prefix is None


class _Loader(SourceFileLoader):
    def get_code(self, fullname):
        if _keeps_anyway:
            sys.dont_write_bytecode = False
        try:
            return super().get_code(fullname)
        except (EOFError, ImportError, TypeError, ValueError):
            return self._code_without_bytecode()
        finally:
            if _keeps_anyway:
                sys.dont_write_bytecode = True

    def _code_without_bytecode(self):
        """A disk that is full, or a limit on files, makes an interpreter keep half of it, and no other can start with that."""
        from importlib.util import cache_from_source

        try:
            os.unlink(cache_from_source(self.path))
        except OSError:
            pass
        return self.source_to_code(self.get_data(self.path), self.path)


for _entry in (_package, os.path.join(_package, "snakepit_worker")):
    sys.path_importer_cache[_entry] = FileFinder(_entry, (_Loader, SOURCE_SUFFIXES))
del sys.modules[__name__]
# The import that has led here gives out what stands in `sys.modules` when this file has ended, and that is the SDK.
import snakepit_worker as _sdk  # noqa: E402

# A thread that imported it at the same moment may hold on to this module, and must find everything here as well.
globals().update(vars(_sdk))
