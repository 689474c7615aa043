"""All forms of an identity at all doors: one meaning everywhere, as the table in `forms` says it."""

import tempfile

import pytest

from edges import columns, objects, texts
from edges.forms import FORMS, Always, Cannot, Form
from imeiset.errors import ParseStatus as S

FAMILIES = {"objects": objects.DOORS, "columns": columns.DOORS, "texts": texts.DOORS}
DOORS = {door: take for doors in FAMILIES.values() for door, take in doors.items()}
TABLE = [
    (form, door, form.at(door, family)) for form in FORMS for family in FAMILIES for door in FAMILIES[family]
]
CELLS = [(form, door, right) for form, door, right in TABLE if not isinstance(right, Cannot)]
# Here a caller, or a policy, says what malformed rows are; some values are an error all the same.
LENIENT = {"contains", "check_many", "Screener.contains", "Screener.codes", *columns.DOORS}


def test_the_table_is_large_and_no_cell_is_empty():
    assert len(FORMS) >= 40
    assert len(DOORS) >= 14
    assert len({form.name for form in FORMS}) == len(FORMS)
    assert all(right is not None for _, _, right in TABLE)
    assert all(set(form.but) <= set(DOORS) for form in FORMS)
    assert {form.name for form, _, _ in CELLS} == {form.name for form in FORMS}
    assert {door for _, door, _ in CELLS} == set(DOORS)


@pytest.fixture(autouse=True, scope="module")
def files(tmp_path_factory):
    """Doors that need files make them where pytest clears them away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("doors")))
        yield


@pytest.mark.parametrize(
    ("form", "door", "right"), CELLS, ids=[f"{form.name}-{door}" for form, door, _ in CELLS]
)
def test_cell(form: Form, door: str, right: object):
    for word in door.split():
        for library in columns.NEEDS.get(word, ()):
            pytest.importorskip(library)
    right = objects.settled(form, right)
    if isinstance(right, Always) and door not in LENIENT:
        right = right.status
    key = right if isinstance(right, int) and not isinstance(right, S) else 77777777777777
    found = DOORS[door](form, key)
    same = type(found) is type(right) and found == right
    assert same, f"{door} makes {found!r} of {form.value!r}, not {right!r}"
