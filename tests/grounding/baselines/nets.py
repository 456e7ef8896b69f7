"""Small nets for the tests of other methods."""

from torch import Tensor, nn

from data_prep.vocabulary import Vocabulary
from grounding.classifier import TagClassifier
from grounding.preprocessing import Preprocessing

CLASSES = 5


class Net(nn.Module):
    """Two convolutions that share an activation, a head under global average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, stride=2), nn.Conv2d(6, 4, 3)
        self.act = nn.ReLU(inplace=True)
        self.features = nn.Sequential(self.second, nn.ReLU(inplace=True))
        self.head = nn.Linear(4, CLASSES)

    def trunk(self, x: Tensor) -> Tensor:
        return self.features(self.act(self.first(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x).mean((2, 3)))


class Flat(Net):
    """A head that sees positions and is not linear: CAM is not defined, Grad-CAM is."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(4 * 2 * 3, 7)
        self.head = nn.Linear(7, CLASSES)

    def top(self, features: Tensor) -> Tensor:
        return self.head(self.hidden(self.pool(features).flatten(1)).tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.top(self.trunk(x))


def classifier_of(net: nn.Module) -> TagClassifier:
    vocabulary = Vocabulary.from_tags([f"tag{n}" for n in range(CLASSES)])
    return TagClassifier(net.eval(), vocabulary, Preprocessing((0.5,) * 3, (0.5,) * 3), "net")
