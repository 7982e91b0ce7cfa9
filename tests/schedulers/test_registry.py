from __future__ import annotations

from importlib import metadata

import pytest

from autodl.errors import OptionError, UnknownNameError
from autodl.schedulers import ASHAScheduler, FIFOScheduler, get_scheduler


def test_names_give_schedulers_with_the_defaults_they_ask_for():
    assert isinstance(get_scheduler("fifo", max_resource=27), FIFOScheduler)
    asha = get_scheduler("asha", max_resource=27, num_trials=9)
    assert isinstance(asha, ASHAScheduler)
    assert asha.max_resource == 27


def test_an_object_is_taken_as_it_is():
    asha = ASHAScheduler(9)
    assert get_scheduler(asha, max_resource=27) is asha


def test_missing_resource_names_the_way_out():
    with pytest.raises(OptionError, match=r"'asha' needs max_resource: pass max_resource=\.\.\. to tune"):
        get_scheduler("asha", max_resource=None)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown scheduler 'ashaa'; known: fifo, asha"):
        get_scheduler("ashaa")


@pytest.mark.parametrize("wrong", [None, 3, FIFOScheduler])
def test_what_is_no_scheduler_is_refused(wrong):
    with pytest.raises(OptionError, match="a name or an object with handle"):
        get_scheduler(wrong)


def test_third_partys_name_comes_from_its_entry_point(monkeypatch):
    entry = metadata.EntryPoint("mine", "autodl.schedulers.fifo:FIFOScheduler", "autodl.schedulers")
    broken = metadata.EntryPoint("broken", "no_such_package:X", "autodl.schedulers")
    offered = metadata.EntryPoints([entry, broken])
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: offered.select(group=group))
    assert isinstance(get_scheduler("mine"), FIFOScheduler)
    with pytest.raises(OptionError, match="'broken' is offered by 'no_such_package:X', which fails"):
        get_scheduler("broken")
    with pytest.raises(UnknownNameError, match=r"known: fifo, asha, .*, pbt, broken, mine"):
        get_scheduler("other")
