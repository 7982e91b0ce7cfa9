from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodl.augment.policy_json import FORMAT, policy_from_json
from autodl.augment.random_policies import RandAugment
from autodl.errors import OptionError


def document(**changes: Any) -> str:
    return json.dumps({"format": FORMAT, "version": 1, "kind": "RandAugment", "n": 1} | changes)


def test_arguments_that_a_document_lacks_have_their_default():
    assert policy_from_json(document()) == RandAugment(n=1)
    assert policy_from_json(document().encode()) == RandAugment(n=1)


def test_a_document_reads_well():
    assert json.loads(RandAugment().to_json()) == {
        "format": "autodl.augment.policy",
        "version": 1,
        "kind": "RandAugment",
        "n": 2,
        "magnitude": 9,
        "num_levels": 31,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"not a policy: .* in '\{'"),
        ("[]", r'not a policy: no \{"format": "autodl.augment.policy", ...\} but \'\[\]\''),
        ('{"version": 1}', r"not a policy: no"),
        (document(format="autodl.space"), r"not a policy: no"),
        (document(version=2), r"version 2, this autodl reads version 1; write it again .* or install"),
        (document(version=True), r"version True, this autodl reads version 1"),
        (document(kind="RandomAugment"), r"unknown kind of policy 'RandomAugment'; known: AugMix, AutoAug"),
        (document(kind=["Policy"]), r"unknown kind of policy \['Policy'\]"),
        (document(n=-1), r"damaged RandAugment document: n must be a whole number >= 0, got -1"),
        (document(n="2"), r"damaged RandAugment document: n must be a whole number >= 0, got '2'"),
        (document(magnitude=31), r"magnitude must be a level below num_levels=31, got 31"),
        (document(m=3), r"damaged RandAugment document, it holds \['m', 'n'\]"),
        (document(kind="Policy"), r"damaged Policy document, it holds \['n'\]"),
        (document(n=1).replace('"n": 1', '"n": NaN'), r"NaN is no number of a policy"),
        ("[" * 100_000, r"not a policy"),
        (None, r"a policy document is a string, got NoneType; read the file first"),
    ],
)
def test_what_cannot_be_read(text: Any, message: str):
    with pytest.raises(OptionError, match=message):
        policy_from_json(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("Rotate"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.sampled_from(["Policy", "RandAugment", "TrivialAugmentWide", "AutoAugment", "AugMix"]),
    st.dictionaries(
        st.sampled_from(["sub_policies", "weights", "n", "magnitude", "num_levels", "policy", "alpha"]),
        values,
        max_size=3,
    ),
)
@settings(max_examples=150, deadline=None)
def test_a_document_is_read_or_refused_with_reason(kind: str, data: dict[str, Any]):
    text = json.dumps({"format": FORMAT, "version": 1, "kind": kind, **data})
    try:
        policy = policy_from_json(text)
    except OptionError as error:
        assert str(error)
    else:
        assert policy_from_json(policy.to_json()) == policy
