"""The Jupyter side: traits, transport and requests around an ``SVR``."""

from svr_widget.widget.timeline import SVRTimeline
from svr_widget.widget.widget import SVRWidget

__all__ = ["SVRTimeline", "SVRWidget"]
