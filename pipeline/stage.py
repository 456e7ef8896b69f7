"""What every stage does alike: its folder, its configuration, its metrics, its mark of completion.

A stage calls `is_finished` before any work, `start` once its inputs and keys are known to be good,
and `finish` at the end. `done.json` comes last, so that a killed run is seen as unfinished.
"""

import errno
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import DictConfig, OmegaConf

from data_prep.errors import UserError

if TYPE_CHECKING:
    import torch

VERSION = version("tag2box")
CONFIG, METRICS, DONE = "config.yaml", "metrics.json", "done.json"

# Keys that say where and how a run is done, not what.
NOT_COMPARED = {
    *("run", "out", "overwrite", "device", "threads", "paper"),
    *("spark.master", "spark.config"),
    *("train.workers", "train.checkpoint_minutes"),
}

# Of folders that runs of this process write into: open files whose locks keep others out.
_locks: dict[Path, int] = {}


def is_finished(config: DictConfig) -> bool:
    """Tell whether `config.out` holds this very run, done; say so if it does.

    Raises
    ------
    UserError
        It holds a finished run of another configuration, and `overwrite` is false; or
        `overwrite` is neither true nor false.
    """
    if not isinstance(config.overwrite, bool):
        raise UserError(f"overwrite={config.overwrite}: give true or false")
    if not isinstance(config.out, str) or not config.out:
        raise UserError(f"out={config.out}: give a folder, as in out=runs/trial")
    out = Path(config.out)
    if config.overwrite or not (out / DONE).is_file():
        return False
    _refuse_another(config, "a finished")
    print(f"{out}: already finished; overwrite=true does it again")
    return True


def start(
    config: DictConfig,
    inputs: Iterable[Path],
    writes: Sequence[str],
    folders: Sequence[str] = (),
    resume: Collection[str] | None = None,
) -> Path:
    """Make `config.out` a folder with the resolved configuration and no earlier run; return it.

    Of an earlier run of the same stage the files are removed that the stage writes, and the
    folders that this leaves empty; nothing else ever is. A kill on the way leaves a folder that
    is accepted the next time. A stage that can resume keeps the files of an unfinished run of
    the same configuration, unless `overwrite` is true.

    Parameters
    ----------
    config : DictConfig
        Of the stage.
    inputs : iterable of Path
        Files that the stage reads.
    writes : sequence of str
        Glob patterns, relative to `out`, of the files that the stage writes besides those of
        every stage.
    folders : sequence of str
        Folders in `out` that the stage must find empty: anything else than its own files in one
        is refused before any file is removed.
    resume : collection of str, optional
        The stage can go on with what an unfinished run has left, even if these keys have changed.

    Raises
    ------
    UserError
        The folder cannot be written, holds something else, one of the inputs or an unfinished
        run of another configuration to resume, or another run is writing into it.
    """
    resolved = OmegaConf.create(_resolved(config))
    out = Path(config.out)
    inside = [path for path in inputs if path.resolve().is_relative_to(out.resolve())]
    if inside:
        raise UserError(
            f"out={out}: {inside[0]} lies in it and could be removed; give another out="
        )
    try:
        if out.is_dir():
            _lock(out)
            own = _own_files(out, writes)
            if not _is_of_stage(out, config.stage, own):
                raise UserError(f"out={out}: holds other files; give an empty or a new folder")
            for folder in folders:
                if foreign := set((out / folder).rglob("*")) - own:
                    raise UserError(
                        f"out={out}: {foreign.pop()} is not of this stage; remove it, or give "
                        "another out"
                    )
            if resume is not None and not config.overwrite and _read_config(out):
                _refuse_another(config, "an unfinished", resume)
            else:
                _clear(out, own)
        out.mkdir(parents=True, exist_ok=True)
        _lock(out)
        _write_text(out / CONFIG, OmegaConf.to_yaml(resolved))
    except OSError as error:
        raise UserError(
            f"out={out}: cannot be written ({error.strerror}); give a folder you can write to"
        ) from error
    return out


def finish(out: Path, metrics: dict[str, Any]) -> None:
    """Write the metrics, then the mark that the stage is done."""
    write_json(out / METRICS, metrics)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(out / DONE, {"finished": now, "tag2box": VERSION})
    _unlock(out)


def write_json(path: Path, content: Any) -> None:
    """Write JSON so that the file is either whole or absent."""
    _write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def disk_full(out: Path | str, remedy: str) -> Iterator[None]:
    """Tell in one line that a disk or a quota is full; `remedy` says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise UserError(f"out={out}: the disk is full; {remedy}") from error


def cores(config: DictConfig) -> int:
    """Return `config.threads`; null is one per core that this process may use."""
    return usable_cores() if config.threads is None else int(config.threads)


def usable_cores() -> int:
    """Count the cores that this process may use: a cluster may have lent it only some."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def strings(value: Any) -> list[str]:
    """Give the values of a key that may hold one value, a list of them or none."""
    values = list(value) if OmegaConf.is_list(value) else [value]
    return [str(one) for one in values if one is not None]


def device(config: DictConfig) -> "torch.device":
    """Return the device that `config.device` names; `auto` is a GPU if there is one."""
    import torch  # only here: stages without tensors start in a second

    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(str(config.device))
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError):
        raise UserError(f"device={config.device}: not on this machine; try device=auto") from None
    return chosen


def _lock(out: Path) -> None:
    """Keep other runs out of a folder until `_unlock` or the end of this process, however it ends.

    Without a remedy where the system has no such locks (Windows, some network drives).
    """
    try:
        import fcntl
    except ImportError:
        return
    _unlock(out)
    folder = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(folder)
        raise UserError(
            f"out={out}: another run is writing into it; wait for its end, or give another out"
        ) from None
    except OSError:
        os.close(folder)
    else:
        _locks[out.resolve()] = folder


def _unlock(out: Path) -> None:
    folder = _locks.pop(out.resolve(), None)
    if folder is not None:
        os.close(folder)


def _forget_locks() -> None:
    """Close them in a forked process, which may outlive a run that is killed."""
    for folder in _locks.values():
        os.close(folder)
    _locks.clear()


if hasattr(os, "register_at_fork"):  # not on every system
    os.register_at_fork(after_in_child=_forget_locks)


def _refuse_another(config: DictConfig, run: str, but: Collection[str] = ()) -> None:
    """Refuse a folder whose run has another configuration, but for some keys."""
    wanted, found = _compared(_resolved(config)), _compared(_read_config(Path(config.out)))
    if found.get("stage") != config.stage:
        other = found.get("stage")
        raise UserError(f"out={config.out}: holds {run} run of stage={other}; give another out=")
    keys = (wanted.keys() | found.keys()) - set(but)
    if changed := sorted(key for key in keys if wanted.get(key) != found.get(key)):
        raise UserError(
            f"out={config.out}: holds {run} run with another {', '.join(changed)}; "
            "give another out= or overwrite=true"
        )


def _compared(content: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Give the keys that say what is done, those of groups with a dot."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        key = f"{above}{name}"
        if key in NOT_COMPARED:
            continue
        deeper = value and isinstance(value, dict)  # an empty group is a value: +maps.mwp={}
        found |= _compared(value, f"{key}.") if deeper else {key: value}
    return found


def _own_files(out: Path, writes: Sequence[str]) -> set[Path]:
    """List the files in `out` that the stage writes, whole or half written."""
    patterns = [CONFIG, METRICS, DONE, *writes]
    patterns += [f"{pattern}.part" for pattern in patterns]
    found = {path for pattern in patterns for path in out.glob(pattern)}
    return {
        path
        for path in found
        if (path.is_symlink() or path.is_file())
        and (path.parent == out or not path.parent.is_symlink())
    }


def _is_of_stage(out: Path, stage: str, own: set[Path]) -> bool:
    """Tell whether `out` holds a run of the stage, or nothing but files it may have left."""
    written = out / CONFIG
    if written.is_file() and written.stat().st_size > 0:
        return _read_config(out).get("stage") == stage
    return all(path in own or path.is_dir() for path in out.rglob("*"))


def _clear(out: Path, own: set[Path]) -> None:
    """Remove the files and the folders left empty, but not config.yaml: start replaces it."""
    (out / DONE).unlink(missing_ok=True)  # first: what is left must not look finished
    for path in own - {out / DONE, out / CONFIG}:
        path.unlink()
    for folder in {path.parent for path in own} - {out}:
        if not any(folder.iterdir()):
            folder.rmdir()


def _write_text(path: Path, text: str) -> None:
    """Write a file so that it is either whole or absent."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _resolved(config: DictConfig) -> dict[str, Any]:
    content = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def _read_config(out: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load((out / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
