"""A register of any lists says what the model says: of each phone, and in columns."""

import datetime

from hypothesis import given
from hypothesis import strategies as st

from imeiset import Register

from . import driving
from .model import GREY, Listed, Model
from .test_living import PREFIXES, QUESTIONS, TEXTS, full_lists

TODAY = datetime.date(2025, 12, 1)
NAMES = st.lists(
    st.sampled_from(
        [
            f"{who} {what}"
            for who in ("a", "b")
            for what in ("black", "grey", "white", "clones", "tied", "testers")
        ]
    ),
    unique=True,
    max_size=7,
)


@st.composite
def models(draw):
    lists = draw(full_lists(draw(NAMES), TODAY))
    for one in lists:
        one.owner = draw(st.sampled_from(("", "op-a", "op-b")))
    guests = Listed("guests", GREY, "imsis", owner="op-c", reason="roaming")
    guests.rows["imsi"] |= dict.fromkeys(draw(st.sets(st.sampled_from(PREFIXES))))
    lists.insert(draw(st.integers(0, len(lists))), guests)
    return Model(lists, response_type=draw(st.sampled_from((1, 2, 3))))


@given(model=models())
def test_a_register_says_what_the_model_says(model):
    made = driving.register(model.lists.values(), model.response_type)
    driving.agree(made, model, QUESTIONS)


@given(model=models())
def test_so_does_its_file(tmp_path_factory, model):
    path = tmp_path_factory.mktemp("made") / "register.imei"
    driving.register(model.lists.values(), model.response_type).save(path)
    for mode in ("mmap", "memory"):
        driving.agree(Register.open(path, mode=mode), model, QUESTIONS)
    driving.agree(Register.verify(path), model, QUESTIONS)


@given(model=models())
def test_irregular_texts_too(model):
    made = driving.register(model.lists.values(), model.response_type)
    for text in TEXTS:
        said = model.claims(text)
        if not said:
            continue
        assert [driving.claim(one) for one in made.explain(text)] == said
