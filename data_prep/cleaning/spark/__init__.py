"""Cleaning on Apache Spark, the extra `spark`; importing this needs no pyspark yet."""

from data_prep.cleaning.spark.engine import check_folders, clean_on_spark
from data_prep.cleaning.spark.session import open_session

__all__ = ["check_folders", "clean_on_spark", "open_session"]
