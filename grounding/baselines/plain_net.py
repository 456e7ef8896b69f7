"""A copy of a net in which every activation and pooling is a module of its own."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import fuse_conv_bn_eval

from data_prep.errors import UserError
from grounding.classifier import TagClassifier
from grounding.excitation.trace import UnsupportedOperation, constant, shadow, trace


class ReLU6(nn.ReLU):
    """As `nn.ReLU6`, but known as a ReLU to what hooks those."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0, 6)


class Sum(nn.Module):
    """Sum over the last axis: what a sum of two tensors is on their `stack`."""

    def forward(self, stacked: Tensor) -> Tensor:
        return stacked.sum(-1)


def stack(x: Tensor, y: Tensor) -> Tensor:
    """Tensors beside each other in a new last axis."""
    return torch.stack(torch.broadcast_tensors(x, y), -1)


# Of the models that were asked, beside what it was made of: copying takes as long as a photo.
_known: WeakKeyDictionary[nn.Module, tuple[Hashable, fx.GraphModule]] = WeakKeyDictionary()


def plain_net(classifier: TagClassifier, pixels: Tensor) -> fx.GraphModule:
    """Give the model's copy that methods may put hooks on: each layer a module that runs once.

    Batch norms are folded into the convolutions before them. ReLUs, also those called as
    functions, those in place and those inside a batch norm, become an `nn.ReLU` or the `ReLU6`
    above, sums of two tensors a `Sum` and global means an `nn.AdaptiveAvgPool2d`; nothing works in
    place. The other weights are the model's own. Made once for a model, and compared with it on
    these pixels; made again if its modules or weights have changed (but writing to a weight's
    `.data` leaves no trace).

    Raises
    ------
    UserError
        The model cannot be traced by torch.fx, or its copy scores otherwise.
    """
    model = classifier.model
    made_of = _made_of(model)
    if model not in _known or _known[model][0] != made_of:
        _known[model] = made_of, _compared_copy(classifier, pixels)
    return _known[model][1]


def _made_of(model: nn.Module) -> Hashable:
    """Say which modules and tensors a model has, and how often each of these was written to."""
    tensors = (*model.parameters(), *model.buffers())
    return (
        tuple(map(id, model.modules())),
        tuple((id(each), each.data_ptr(), each._version) for each in tensors),
    )


def _compared_copy(classifier: TagClassifier, pixels: Tensor) -> fx.GraphModule:
    model = classifier.model
    try:
        copy = _Copy(model).net()
    except UnsupportedOperation as error:
        raise UserError(f"model {classifier.name}: {' '.join(str(error).split())}") from error
    with torch.no_grad():
        expected, found = model(pixels), copy(pixels)
    tolerance = 1e-3 * float(expected.abs().max())
    if not torch.allclose(found, expected, rtol=0, atol=tolerance):
        raise UserError(
            f"model {classifier.name}: its traced copy gives other scores; make its forward "
            "free of changes in place that are read again"
        )
    return copy


def layers(net: fx.GraphModule) -> list[tuple[str, nn.Module | None]]:
    """Name of what each step does, in lower case, and its module, if it is one."""
    found: list[tuple[str, nn.Module | None]] = []
    for node in net.graph.nodes:
        if node.op == "call_module":
            module = net.get_submodule(str(node.target))
            found.append((type(module).__name__.lower(), module))
        elif node.op in ("call_function", "call_method"):
            found.append((_function_name(node.target), None))
        elif node.op == "get_attr":
            found.append((f"the tensor {node.target}", None))
    return found


class _Copy:
    def __init__(self, model: nn.Module) -> None:
        self.root = shadow(model)
        self.graph, _ = trace(self.root)
        self.parts: dict[str, Any] = {}  # flat names, in the order of their runs

    def net(self) -> fx.GraphModule:
        for node in list(self.graph.nodes):
            if node.op == "get_attr":
                self.parts[str(node.target)] = constant(self.root, str(node.target))
            elif node.op == "call_module":
                module = self.root.get_submodule(str(node.target))
                self._replace(node, self._folded(node, _modules_for(module)))
            elif node.op in ("call_function", "call_method"):
                self._replace_call(node)
        return fx.GraphModule(self.parts, self.graph).eval()

    def _folded(self, node: fx.Node, modules: list[nn.Module]) -> list[nn.Module]:
        """Put a batch norm into the convolution before it, if nothing else reads that."""
        before = node.args[0]
        assert isinstance(before, fx.Node)
        conv = self.parts.get(str(before.target)) if before.op == "call_module" else None
        norm = modules[0] if modules else None
        alone = len(before.users) == 1
        if not (isinstance(norm, _BatchNorm) and isinstance(conv, nn.Conv2d) and alone):
            return modules
        self.parts[str(before.target)] = fuse_conv_bn_eval(conv, norm)
        return modules[1:]

    def _replace_call(self, node: fx.Node) -> None:
        """Make a call a module, or at least one that works on no tensor in place."""
        name = _function_name(node.target)
        given = {key: value for key, value in node.kwargs.items() if key != "inplace"}
        modules = _MODULES.get(name, _none)(*node.args[1:], **given)
        if modules is not None:
            self._replace(node, modules)
            return
        if name == "add" and not given and all(isinstance(each, fx.Node) for each in node.args):
            node.op, node.target = "call_function", stack
            with self.graph.inserting_after(node):
                self.parts[node.name] = Sum()
                total = self.graph.call_module(node.name)
            node.replace_all_uses_with(total)
            total.args = (node,)
            return
        if node.op == "call_function":
            node.target = _PURE.get(node.target, node.target)
        elif name + "_" == node.target:
            node.target = name
        if "inplace" in node.kwargs:
            node.kwargs = given

    def _replace(self, node: fx.Node, modules: list[nn.Module]) -> None:
        """Run modules of our own, one after the other, where the node ran."""
        value = node.args[0]
        assert isinstance(value, fx.Node)
        with self.graph.inserting_before(node):
            for module in modules:
                # The hooks of a ReLU see its input's gradient: that of no other reader.
                if isinstance(module, nn.ReLU):
                    value = self.graph.call_method("clone", (value,))
                name = f"layer{len(self.parts)}"
                self.parts[name] = module
                value = self.graph.call_module(name, (value,))
        node.replace_all_uses_with(value)
        self.graph.erase_node(node)


def _modules_for(module: nn.Module) -> list[nn.Module]:
    """What to run in a module's place."""
    if isinstance(module, _BatchNorm) and hasattr(module, "act"):  # timm's BatchNormAct2d
        norm = nn.BatchNorm2d(module.num_features, module.eps).eval()
        norm.weight, norm.bias = module.weight, module.bias
        norm.running_mean, norm.running_var = module.running_mean, module.running_var
        assert isinstance(module.act, nn.Module)
        return [norm, *_modules_for(module.act)]
    if isinstance(module, nn.ReLU):
        return [nn.ReLU()]
    if isinstance(module, nn.Hardtanh) and (module.min_val, module.max_val) == (0, 6):
        return [ReLU6()]
    if isinstance(module, nn.Identity) or "Drop" in type(module).__name__:
        return []
    own = shadow(module)  # a layer that runs twice becomes two
    if hasattr(own, "inplace"):
        own.inplace = False  # type: ignore[assignment]
    return [own]


def _none(*_args: Any, **_kwargs: Any) -> None:
    return None


def _mean(dim: Any = None, keepdim: bool = False) -> list[nn.Module] | None:
    if not isinstance(dim, list | tuple) or sorted(axis % 4 for axis in dim) != [2, 3]:
        return None
    return [nn.AdaptiveAvgPool2d(1), *([] if keepdim else [nn.Flatten(1)])]


# By the name of a call, from its arguments without the tensor.
_MODULES: dict[str, Callable[..., list[nn.Module] | None]] = {
    "relu": lambda *_inplace: [nn.ReLU()],
    "relu6": lambda *_inplace: [ReLU6()],
    "adaptive_avg_pool2d": lambda output_size: [nn.AdaptiveAvgPool2d(output_size)],
    "avg_pool2d": lambda *args, **kwargs: [nn.AvgPool2d(*args, **kwargs)],
    "mean": _mean,
    "dropout": lambda *_args, **_kwargs: [],
}
_PURE: dict[Any, Any] = {
    operator.iadd: operator.add,
    operator.imul: operator.mul,
    operator.isub: operator.sub,
    operator.itruediv: operator.truediv,
}


def _function_name(target: Any) -> str:
    """Name of a function or method, `relu_` reading as `relu` and `iadd` as `add`."""
    target = _PURE.get(target, target) if callable(target) else target
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    return name if name.startswith("_") else name.rstrip("_").lower()
