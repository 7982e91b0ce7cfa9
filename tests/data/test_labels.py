"""Labels: cleaned, frozen, and errors that name what is wrong."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodl.data import ClassMap, check_labels
from autodl.data.labels import clean_label
from autodl.errors import LabelError

values = st.one_of(st.integers(-50, 50), st.text(min_size=1, max_size=5))


@given(st.lists(values, min_size=1))
def test_encode_then_decode_gives_the_labels_back(labels):
    try:
        classes = ClassMap.from_labels(labels)
    except LabelError:  # 1 beside "1"
        names = [str(label) for label in {clean_label(label) for label in labels}]
        assert len(set(names)) < len(names)
        return
    numbers = classes.encode(labels)
    assert classes.decode(numbers) == [clean_label(label) for label in labels]
    assert ClassMap.from_json(json.loads(json.dumps(classes.to_json()))) == classes


@pytest.mark.parametrize("labels", [[3, 1, 2, 1], ["b", "a", "C"], [2.5, 1.0], [True, False]])
def test_classes_are_ordered_as_numpy_orders_them(labels):
    assert list(ClassMap.from_labels(labels).values) == np.unique(labels).tolist()


def test_numpy_and_torch_scalars_become_python_values():
    import torch

    classes = ClassMap.from_labels([np.int64(2), torch.tensor(1)])
    assert classes.values == (1, 2) and all(type(value) is int for value in classes.values)


def test_names_are_for_display():
    assert ClassMap.from_labels([1.0, 2.5]).names == ("1", "2.5")


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, ""])
def test_missing_labels_are_known_in_every_form(missing):
    assert clean_label(missing) is None
    with pytest.raises(LabelError, match=r"1 of 5 images in photos have no label \(rows 4\)"):
        check_labels(["a", "a", "b", "b", missing], where="photos")


def test_the_text_none_is_a_class():
    assert check_labels(["None", "None", "nan", "nan"]).names == ("None", "nan")


def test_composed_and_decomposed_accents_are_one_class():
    classes = ClassMap.from_labels(["caf\u00e9", "cafe\u0301"])
    assert len(classes) == 1
    assert classes.encode(["cafe\u0301"]).tolist() == [0]


def test_unseen_classes_are_named_and_counted():
    classes = ClassMap.from_labels(["cat", "dog"])
    with pytest.raises(
        LabelError, match=r"in test\.csv, 3 of 4 images have 2 classes .*'cow', 'owl'"
    ) as caught:
        classes.encode(["cat", "cow", "owl", "cow"], "test.csv")
    assert "known classes: 'cat', 'dog'" in str(caught.value)


def test_encoding_a_missing_label_is_an_error():
    with pytest.raises(LabelError, match="1 of 2 images have no label"):
        ClassMap.from_labels(["a", "b"]).encode(["a", None])


def test_labels_match_by_name_where_types_differ():
    assert ClassMap.from_labels([0, 1, 10]).encode(["10", "0", 1.0]).tolist() == [2, 0, 1]


def test_one_and_the_text_one_cannot_both_be_classes():
    with pytest.raises(LabelError, match="give all labels one type"):
        ClassMap.from_labels([1, "1"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "a"], r"at least 2 classes, but photos has only one, 'a'"),
        ([], "has none"),
        (["a", "a", "b", "c"], r"2 of 3 classes in photos have fewer: 'b' \(1\), 'c' \(1\)"),
    ],
)
def test_too_few_classes_or_images(labels, message):
    with pytest.raises(LabelError, match=message):
        check_labels(labels, where="photos")


def test_a_list_is_no_label():
    with pytest.raises(LabelError, match="got list"):
        ClassMap.from_labels([["a"], ["b"]])


def test_a_tampered_class_map_is_refused():
    for content in (["a", "a"], ["a", None], [["a"]]):
        with pytest.raises(LabelError):
            ClassMap.from_json(content)
