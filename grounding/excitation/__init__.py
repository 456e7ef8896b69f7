"""Excitation Backprop, exact and fast, on any convnet torch.fx can trace; usable on its own (needs only torch).

>>> engine = ExcitationBackprop(model, target="layer3")
>>> state = engine(images)             # one forward pass
>>> maps = state.cmwp([281, 282])      # (N, 2, h, w)
"""

from .engine import ExcitationBackprop
from .state import State
from .trace import UnsupportedOperation

__all__ = ["ExcitationBackprop", "State", "UnsupportedOperation"]
