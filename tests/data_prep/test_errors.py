"""Settings that are numbers."""

import pytest

from data_prep.errors import UserError, check_number


@pytest.mark.parametrize("value", [0, 11, True, None, "3", float("nan"), 2.5])
def test_numbers_that_are_refused(value: object) -> None:
    with pytest.raises(UserError, match=r"^key=.*: give a whole number from 1 to 10$"):
        check_number("key", value, 1, 10, whole=True)
    with pytest.raises(UserError, match=r"^key=.*: give a whole number, 5,000 or more$"):
        check_number("key", value, 5000, whole=True)


def test_numbers_that_are_taken() -> None:
    for value in (1, 10):
        check_number("key", value, 1, 10, whole=True)
    for share in (0, 0.5, 1):
        check_number("key", share, 0, 1)
    check_number("key", None, 0, 1, or_null=True)
    with pytest.raises(UserError, match=r"^key=2: give a number from 0 to 1, or null$"):
        check_number("key", 2, 0, 1, or_null=True)


@pytest.mark.parametrize("value", [float("inf"), -float("inf")])
def test_infinity_is_refused_where_there_is_no_upper_limit(value: float) -> None:
    with pytest.raises(UserError, match=r"^key=-?inf: give a (finite )?number, 0 or more$"):
        check_number("key", value, 0)
    with pytest.raises(UserError, match=r"^key=-?inf: give a whole number, 0 or more$"):
        check_number("key", value, 0, whole=True)
    check_number("key", 10**400, 0, whole=True)
