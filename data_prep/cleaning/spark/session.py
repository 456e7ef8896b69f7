"""A session of Apache Spark, and its errors told in a line."""

from __future__ import annotations

import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.errors import UserError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[3]  # where data_prep lies
USER_ERROR = re.compile(rf"^{UserError.__module__}\.UserError: (.*)$", re.MULTILINE)
MISSING_MODULE = re.compile(r"^ModuleNotFoundError: (.*)$", re.MULTILINE)


def open_session(
    master: str | None = None, config: Mapping[str, Any] | None = None
) -> SparkSession:
    """Start a session, or take the one there is (under spark-submit, or in a notebook).

    Parameters
    ----------
    master : str, optional
        As in ``local[4]`` or ``spark://host:7077``. None: what spark-submit or Spark's own
        configuration says, else ``local[*]``.
    config : mapping, optional
        Further settings of Spark. What concerns the driver's memory has no effect under
        spark-submit, which has started it already.

    Raises
    ------
    UserError
        pyspark or Java is missing, or Spark does not start.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        remedy = "pip install 'tag2box[spark]'"
        raise UserError(f"engine=spark: pyspark is not installed ({error}); {remedy}") from error
    if "PYSPARK_GATEWAY_PORT" not in os.environ and not _java():
        raise UserError("engine=spark: no Java found; install Java 17 and set JAVA_HOME, or have "
                        "java on the PATH")  # fmt: skip
    # Nothing here hands rows to pandas.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    builder = SparkSession.builder.appName("tag2box clean")
    if master is not None:
        builder = builder.master(master)
    quiet = {
        "spark.ui.showConsoleProgress": sys.stderr.isatty(),
        "spark.log.level": "ERROR",
        # A copy of a task that is still at work when the run ends would leave a file behind.
        "spark.speculation": False,
        # Workers of a local session find data_prep where this process found it.
        "spark.executorEnv.PYTHONPATH": _python_path(master),
    }
    for key, value in {**quiet, **(config or {})}.items():
        if value is not None:
            builder = builder.config(key, value)
    try:
        spark = builder.getOrCreate()
    except (PySparkException, OSError, _java_error()) as error:
        remedy = "check spark.master, spark.config and that Java is 17 or newer"
        raise UserError(f"engine=spark: Spark does not start ({_first_line(error)}); "
                        f"{remedy}") from error  # fmt: skip
    context = spark.sparkContext
    if str(context.master).startswith("local"):
        context.pythonExec = sys.executable
        # An executor in this process would print the whole Java trace of every error.
        context.setLogLevel((config or {}).get("spark.log.level", "FATAL"))
    return spark


@contextmanager
def plain_errors() -> Iterator[None]:
    """Tell what went wrong on an executor in a line, where it is for the user to mend.

    Raises
    ------
    UserError
        As raised on the executor; or its Python lacks a package, or its disk is full.
    """
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, _java_error()) as error:
        text = str(error)
        said = USER_ERROR.search(text)
        if said:
            raise UserError(said[1]) from error
        missing = MISSING_MODULE.search(text)
        if missing:
            remedy = "install tag2box there, and name that Python in PYSPARK_PYTHON"
            raise UserError(
                f"engine=spark: the executors' Python: {missing[1]}; {remedy}"
            ) from error
        if "No space left on device" in text:
            remedy = "free some of spark.local.dir and of the output's storage"
            raise UserError(f"engine=spark: a disk is full; {remedy}") from error
        raise


def _python_path(master: str | None) -> str | None:
    if master is None or not master.startswith("local"):
        return None
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(filter(None, paths))


def _java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")


def _java_error() -> type[Exception]:
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]

    error: type[Exception] = Py4JError
    return error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
