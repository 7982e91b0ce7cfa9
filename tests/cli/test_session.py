import errno
import warnings

import pytest
import typer

from autodl import errors
from autodl.cli.session import BAD_INPUT, FAILED, INTERRUPTED, describe, exit_code, session

BAD = {
    "OptionError", "UnknownNameError", "SpaceError", "ConfigError", "DataError", "DataNotFoundError",
    "EmptyDataError", "LabelError", "BadImageError", "RunExistsError", "NotFittedError",
    "PredictorFormatError",
}  # fmt: skip


def leaves():
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [kind for kind in found if issubclass(kind, errors.AutoDLError) and kind is not errors.AutoDLError]


@pytest.mark.parametrize("kind", leaves(), ids=lambda kind: kind.__name__)
def test_every_error_has_its_exit_code(kind):
    error = kind("network", "x", ("a",)) if kind is errors.UnknownNameError else kind("no")
    assert exit_code(error) == (BAD_INPUT if kind.__name__ in BAD else FAILED)


def test_errors_of_the_system():
    assert exit_code(FileNotFoundError(errno.ENOENT, "No such file")) == BAD_INPUT
    assert exit_code(PermissionError(errno.EACCES, "Permission denied")) == BAD_INPUT
    assert exit_code(OSError(errno.ENOSPC, "No space left")) == FAILED
    assert exit_code(KeyError("bug")) == FAILED


def test_an_error_is_one_line_without_a_traceback(capsys):
    with pytest.raises(typer.Exit) as caught, session(debug=False):
        raise errors.OptionError("epochs must be >= 1")
    assert caught.value.exit_code == BAD_INPUT
    assert capsys.readouterr().err == "autodl: error: epochs must be >= 1\n"


def test_debug_shows_the_traceback_and_keeps_the_code(capsys):
    with pytest.raises(typer.Exit) as caught, session(debug=True):
        raise errors.TrialError("loss is NaN")
    told = capsys.readouterr().err
    assert caught.value.exit_code == FAILED
    assert "Traceback" in told and "test_session.py" in told
    assert told.endswith("autodl: error: loss is NaN\n")


def test_an_unforeseen_error_points_to_debug(capsys):
    with pytest.raises(typer.Exit) as caught, session(debug=False):
        raise KeyError("width")
    told = capsys.readouterr().err
    assert caught.value.exit_code == FAILED
    assert "KeyError: 'width'" in told and "--debug" in told and "Traceback" not in told


def test_ctrl_c_exits_with_130(capsys):
    with pytest.raises(typer.Exit) as caught, session(debug=False):
        raise KeyboardInterrupt
    assert caught.value.exit_code == INTERRUPTED
    assert capsys.readouterr().err == "autodl: interrupted\n"


def test_a_commands_own_exit_and_a_closed_pipe_pass():
    with pytest.raises(typer.Exit) as caught, session(debug=False):
        raise typer.Exit(3)
    assert caught.value.exit_code == 3
    with pytest.raises(BrokenPipeError), session(debug=False):
        raise BrokenPipeError


def test_warnings_for_users_are_one_line_and_others_are_silent(capsys):
    with session(debug=False):
        warnings.warn("2 images are odd", UserWarning, stacklevel=1)
        warnings.warn("use the new name", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err == "autodl: warning: 2 images are odd\n"


def test_names_in_other_encodings_are_escaped(capsys):
    with pytest.raises(typer.Exit), session(debug=False):
        raise errors.DataError("caf\udce9.png is empty")
    assert "caf\\udce9.png is empty" in capsys.readouterr().err


def test_a_full_disk_names_the_file_and_the_way_out():
    error = OSError(errno.ENOSPC, "No space left on device", "model.autodl")
    assert describe(error) == "model.autodl: No space left on device; free some space"
