"""The execution plan: which steps the signal passes, where it starts and where it ends."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, fx, nn

from .build import Builder, Step
from .compose import compose_bottlenecks, parts
from .layers import LinearLayer
from .links import Link
from .operations import (
    Activated,
    Add,
    Affine,
    BatchNorm,
    Concat,
    Elementwise,
    Fixed,
    excitation,
)
from .targets import find_layer, nearest_grid
from .trace import UnsupportedOperation

Residual = Literal["positive", "signed"]
Bottlenecks = Literal["positive", "excitatory", "composed"]
Gates = Literal["refuse", "constant"]

_TRIAL_SIZE = 224  # grids are named for this input size, as in the paper


class Run:
    """Values, excitations and links of one forward pass."""

    def __init__(self) -> None:
        self.output: Tensor
        self.excitations: dict[Step, Tensor] = {}
        self.links: dict[Step, Link] = {}


class Plan:
    """The steps of a model and the part of them between the target and the class scores.

    Attributes
    ----------
    path
        Steps the signal passes, in forward order, from above the target to the class scores.
    ends
        Where the signal stops: the target, or the non-negative sources of a linear target whose
        bottleneck is composed.
    classifier, features
        The last layer with weights, in which the contrast is taken, and the step it reads.
    model
        The shadow of the caller's model that was traced.
    linear_head
        The classifier's layer if it is a linear layer and the last step, else None.
    carriers
        Path and ends: whatever arrives elsewhere is lost.
    """

    def __init__(
        self,
        model: nn.Module,
        target: str | None,
        resolution: int | None,
        residual: Residual,
        bottlenecks: Bottlenecks,
        gates: Gates,
    ) -> None:
        builder = Builder(model, gates)
        self.model = builder.model
        node = None if target is None else find_layer(target, builder)
        self.output = builder.build(node)
        self.steps = builder.steps
        self._between: list[Step] = []
        if node is None:
            target_step = self._choose(model, resolution or 14)
        else:
            target_step = builder.step_of[node]
        self.target = target or builder.name_of(target_step)
        self._between = self._steps_above(target_step)
        self._refuse_unsupported(gates)
        for step in self.steps:
            is_gate = isinstance(step.operation, Elementwise)  # only the gated value gets signal
            step.sources = step.inputs[:1] if is_gate else list(step.inputs)
        self._treat_linear_values(residual, bottlenecks)
        self.classifier = self._find_classifier()
        if bottlenecks == "composed":
            compose_bottlenecks([step for step in self._between if step is not self.classifier])
        (self.features,) = self.classifier.sources
        head = self.classifier.operation
        assert isinstance(head, Affine)
        if head.activation is None:
            head.linear = "excitatory"  # whether a score is positive must not matter
        self.linear_head: LinearLayer | None = None
        if self.classifier is self.output and isinstance(head.layer, LinearLayer):
            self.linear_head = head.layer
        self.ends = self._find_ends(target_step)
        self.path = self._reached()
        self.carriers = {*self.path, *self.ends}
        start = self._between.index(self.classifier)
        self.above_classifier = [step for step in self.path if step in self._between[start + 1 :]]
        self.below_classifier = [step for step in self.path if step in self._between[:start]]

    def _steps_above(self, target: Step) -> list[Step]:
        """Steps that the target feeds and that feed the output, in forward order."""
        above = {target}
        for step in self.steps:
            if any(before in above for before in step.inputs):
                above.add(step)
        needed = {self.output}
        for step in reversed(self.steps):
            if step in needed:
                needed.update(step.inputs)
        return [step for step in self.steps if step in above & needed and step is not target]

    def _refuse_unsupported(self, gates: Gates) -> None:
        if not self._between:
            raise UnsupportedOperation(
                f"target {self.target!r} does not feed the class scores; choose a layer below them"
            )
        unknown = [step for step in self._between if step.operation is None]
        if not unknown:
            return
        what = ", ".join(f"{step.name} ({_describe(step)})" for step in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        remedy = "choose a target above them, or a network of supported layers"
        if gates == "refuse" and all("mul" in step.name.rsplit(".", 1)[-1] for step in unknown):
            remedy = (
                "pass gates='constant' to treat squeeze-and-excitation gates as fixed scales "
                "(an approximation)"
            )
        raise UnsupportedOperation(
            f"excitation cannot pass {what}{more}, between target {self.target!r} "
            f"and the class scores: {remedy}"
        )

    def _treat_linear_values(self, residual: Residual, bottlenecks: Bottlenecks) -> None:
        consumers: dict[Step, list[Step]] = {}
        for step in self._between:
            for before in step.inputs:
                consumers.setdefault(before, []).append(step)
        normed: set[Step] = set()  # values whose next word is a batch norm of their own
        for step in reversed(self._between):
            for user in consumers.get(step, ()):
                if isinstance(user.operation, BatchNorm) or (
                    user in normed and isinstance(user.operation, Concat | Fixed)
                ):
                    normed.add(step)
            operation = step.operation
            if not isinstance(operation, Activated) or operation.activation is not None:
                continue
            users = [user.operation for user in consumers.get(step, ())]
            if residual == "signed" and users and all(isinstance(user, Add) for user in users):
                operation.linear = "signed"
            elif step in normed or bottlenecks == "excitatory":
                operation.linear = "excitatory"

    def _reached(self) -> list[Step]:
        """Steps the signal passes, without a linear head: only rows of asked words are read."""
        reached = {self.features if self.linear_head is not None else self.output}
        for step in reversed(self._between):
            if step in reached and step not in self.ends:
                reached.update(step.sources)
        return [step for step in self._between if step in reached and step not in self.ends]

    def _find_ends(self, target: Step) -> list[Step]:
        """The target, or its parts if the signal goes round it (a composed linear value)."""
        self.ends = [target]
        read = {self.features, *(source for step in self._reached() for source in step.sources)}
        return [target] if target in read else parts(target)

    def _find_classifier(self) -> Step:
        step = self.output
        while not isinstance(step.operation, Affine):
            if len(step.sources) != 1 or step not in self._between:
                raise UnsupportedOperation(
                    f"no single layer gives the class scores (reached {step.name} from the top); "
                    "end the model in one convolution or linear layer"
                )
            step = step.sources[0]
        if step not in self._between:
            raise UnsupportedOperation(
                f"target {self.target!r} is not below the classifier {step.name!r}; "
                "choose an earlier layer"
            )
        return step

    def _choose(self, model: nn.Module, resolution: int) -> Step:
        """The layer whose grid is nearest to `resolution` squared for a 224x224 input."""
        parameter = next(model.parameters(), torch.zeros(()))
        image = torch.zeros(
            1, 3, _TRIAL_SIZE, _TRIAL_SIZE, device=parameter.device, dtype=parameter.dtype
        )
        grids: dict[Step, int] = {}
        try:
            self.run(image, grids)
        except RuntimeError as error:
            raise UnsupportedOperation(
                f"{type(model).__name__} does not run on a {_TRIAL_SIZE}x{_TRIAL_SIZE} RGB image, "
                f"by which the default target is chosen ({error}); name a target"
            ) from error
        return nearest_grid(self.steps, self.output, grids, resolution)

    def run(self, images: Tensor, grids: dict[Step, int] | None = None) -> Run:
        """One forward pass; links and excitations are kept for the steps the signal passes."""
        run = Run()
        known = bool(self._between)  # the path is not, while a target is chosen
        path = set(self.path) if known else set()
        keep = {source for step in path for source in step.sources}
        if known:
            keep.add(self.features)
        uses: dict[Step, int] = {}
        for step in self.steps:
            for before in step.dependencies():
                uses[before] = uses.get(before, 0) + 1
        values: dict[Step, Tensor] = {}
        for step in self.steps:
            operation = step.operation
            if step.function is None and operation is None:
                value = images
            elif operation is None or (isinstance(operation, Fixed) and step.args):
                value, operation = _call(step, values)
            if operation is not None and step in path:
                excitations = [run.excitations[source] for source in step.sources]
                value, run.excitations[step], run.links[step] = operation.connect(
                    [values[before] for before in step.inputs], excitations
                )
            elif operation is not None:
                value = operation.forward(*(values[before] for before in step.inputs))
            if step in keep and step not in path:
                run.excitations[step] = excitation(value, step.bound)
            if grids is not None and isinstance(value, Tensor) and value.ndim == 4:
                grids[step] = min(value.shape[2:])
            values[step] = value
            for before in step.dependencies():
                uses[before] -= 1
                if not uses[before]:
                    values.pop(before, None)
            if step is self.output:
                break
        if not isinstance(value, Tensor) or value.ndim != 2:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise UnsupportedOperation(
                f"{self.output.name}: the output must be (N, classes) scores, got {shape}; "
                "wrap the model in a module that returns the scores alone"
            )
        run.output = value
        return run


def _call(step: Step, values: dict[Step, Tensor]) -> tuple[Tensor, Fixed | None]:
    """Run a step that is a plain function, or bind its sizes to make it a `Fixed` operation."""
    args, kwargs = fx.node.map_aggregate(
        (step.args, step.kwargs), lambda a: values[a] if isinstance(a, Step) else a
    )
    function = step.function
    assert function is not None
    if step.operation is None:
        return function(*args, **kwargs), None
    return args[0], Fixed(lambda x: function(x, *args[1:], **kwargs))


def _describe(step: Step) -> str:
    function = step.function
    if isinstance(function, nn.Module):
        return type(function).__name__
    name = getattr(function, "__name__", "")
    return name if name and name != "<lambda>" else step.name.rsplit(".", 1)[-1]
