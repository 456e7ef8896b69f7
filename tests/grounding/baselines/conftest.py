import pytest
import torch
from torch import Tensor

from tests.grounding.baselines.nets import CLASSES


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def pixels() -> Tensor:
    return torch.randn(1, 3, 13, 17, dtype=torch.float64)


@pytest.fixture
def priors() -> Tensor:
    """Words of one class, of three, and of all."""
    table = torch.zeros(3, CLASSES, dtype=torch.float64)
    table[0, 1] = 1
    table[1, [0, 2, 4]] = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    table[2] = 1 / CLASSES
    return table
