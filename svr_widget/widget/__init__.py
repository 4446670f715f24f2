"""The Jupyter side: traits, transport and requests around an ``SVR``."""

from svr_widget.widget.timeline import SVRTimeline
from svr_widget.widget.widget import SVRWidget

compare = SVRWidget.compare

__all__ = ["SVRTimeline", "SVRWidget", "compare"]
