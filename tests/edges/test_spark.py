"""The door that Spark is, to the table of forms: all texts, and all integers, each in a column of its own."""

import os
import shutil
import sys

import pytest

from edges.asking import far, worded
from edges.forms import FORMS, Always, Cannot
from edges.objects import settled
from imeiset.errors import ParseStatus as S

pytest.importorskip("pyspark", minversion="4.0")
if not shutil.which("java"):
    pytest.skip("Java is not here", allow_module_level=True)

from imeiset.integrations.spark import screen

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]  # Spark's own warnings


@pytest.fixture(scope="module")
def spark():
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
    yield session
    session.stop()


def cells(dtype, digits):
    """The forms of a type, and their outcomes in a column."""
    for form in FORMS:
        right = form.at("arrow", "columns")
        if (form.dtype, form.digits) == (dtype, digits) and not isinstance(right, Cannot):
            yield form, settled(form, right)


def python(value):
    """A NumPy scalar as Spark takes it."""
    return value.item() if hasattr(value, "item") else value


def screened(spark, place, values, kind, keys, digits):
    """The word of each value."""
    far(*keys).save(place / "list.imei")
    calls = spark.createDataFrame(
        [(n, python(value)) for n, value in enumerate(values)], f"n long, imei {kind}"
    )
    options = {} if digits == 14 else {"digits": digits}
    rows = screen(calls, "imei", place / "list.imei", **options).collect()
    return [worded(row.status) for row in sorted(rows)]


@pytest.mark.parametrize(
    ("dtype", "kind", "digits"), [("text", "string", 14), ("int64", "long", 14), ("int64", "long", 15)]
)
def test_answers(spark, tmp_path, dtype, kind, digits):
    table = [(form, right) for form, right in cells(dtype, digits) if not isinstance(right, Always)]
    keys = [right for _, right in table if not isinstance(right, S)]
    values = [form.value for form, _ in table]
    right = [outcome if isinstance(outcome, S) else True for _, outcome in table]
    assert screened(spark, tmp_path, values, kind, keys, digits) == right
    right = [outcome if isinstance(outcome, S) else False for _, outcome in table]
    assert screened(spark, tmp_path, values, kind, [], digits) == right


@pytest.mark.parametrize("digits", [14, 15])
def test_errors(spark, tmp_path, digits):
    table = [(form, right) for form, right in cells("int64", digits) if isinstance(right, Always)]
    assert table
    for form, right in table:
        with pytest.raises(Exception, match=right.status.text):
            screened(spark, tmp_path, [form.value], "long", [], digits)
