"""Folders in which decompositions are kept from one run to the next: ``SVR(model, cache=...)``.

``SVR(model, cache="folder")`` keeps them in any folder; a ``Folder`` says more about it.
"""

from svr_widget.engine.work.folder import Folder, clear, size

__all__ = ["Folder", "clear", "size"]
