import inspect
import pickle

import pytest

from autodl import errors

LEAVES = [
    e for _, e in inspect.getmembers(errors, inspect.isclass)
    if issubclass(e, errors.AutoDLError) and e is not errors.AutoDLError
]  # fmt: skip
BUILT_IN = {
    errors.OptionError: ValueError,
    errors.UnknownNameError: ValueError,
    errors.SpaceError: ValueError,
    errors.ConfigError: ValueError,
    errors.MissingDependencyError: ImportError,
    errors.DataError: ValueError,
    errors.DataNotFoundError: FileNotFoundError,
    errors.WeightsUnavailableError: RuntimeError,
    errors.RunExistsError: FileExistsError,
    errors.NotFittedError: AttributeError,
    errors.PredictorFormatError: ValueError,
}


@pytest.mark.parametrize("error", LEAVES)
def test_every_error_crosses_a_process_boundary_whole(error):
    arguments = ("net", "resnet1", ("resnet18",)) if error is errors.UnknownNameError else ("what and where",)
    first = error(*arguments)
    second = pickle.loads(pickle.dumps(first))
    assert type(second) is error and second.args == first.args and str(second) == str(first)


@pytest.mark.parametrize("error", LEAVES)
def test_every_error_is_also_a_built_in_one(error):
    built_in = [
        b for b in error.__mro__ if b.__module__ == "builtins" and b not in (Exception, BaseException, object)
    ]
    assert built_in


@pytest.mark.parametrize(("error", "built_in"), BUILT_IN.items())
def test_callers_catch_what_they_expect(error, built_in):
    assert issubclass(error, built_in)


def test_an_unknown_name_lists_the_known_ones():
    error = errors.UnknownNameError("searcher", "rendom", ("grid", "random"))
    assert str(error) == "unknown searcher 'rendom'; known: grid, random"
    assert (error.kind, error.name, error.known) == ("searcher", "rendom", ("grid", "random"))
