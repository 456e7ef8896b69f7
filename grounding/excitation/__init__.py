"""Excitation Backprop, exact and fast, on any convnet torch.fx can trace.

Usable on its own: it needs only torch.

>>> engine = ExcitationBackprop(model, target="layer3")
>>> state = engine(images)             # one forward pass
>>> maps = state.cmwp([281, 282])      # (N, 2, h, w)
"""

from .engine import ExcitationBackprop
from .state import State
from .trace import UnsupportedOperation

__all__ = ["ExcitationBackprop", "State", "UnsupportedOperation"]
