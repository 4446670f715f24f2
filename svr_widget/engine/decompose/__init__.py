"""From one weight to its spectral neurons: drivers, their certificate, the decomposition."""

from svr_widget.engine.decompose.certificate import Certificate
from svr_widget.engine.decompose.decomposition import (
    Decomposition,
    Flattening,
    check_method,
    decompose,
    decompose_product,
)

__all__ = [
    "Certificate",
    "Decomposition",
    "Flattening",
    "check_method",
    "decompose",
    "decompose_product",
]
