"""Saved predictors: the same predictions after loading; damaged, changed and foreign files are refused."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import autodl as ad
from autodl import ImageClassification, ImageClassifier
from autodl.errors import (
    AutoDLError,
    DataNotFoundError,
    ExportError,
    NotFittedError,
    OptionError,
    PredictorFormatError,
)
from autodl.models import build_network
from tests.tasks import made

FILES = {"model.safetensors", "predictor.json"}


@pytest.fixture
def saved(fitted, tmp_path):
    return fitted.save(tmp_path / "model")


def rewrite(folder: Path, change) -> None:
    """Apply `change` to the parsed JSON document."""
    path = folder / "predictor.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


# ---------------------------------------------------------------------- the round trip


@pytest.mark.parametrize("name", ["model", "model.zip", "model.autodl", "deep/er/mödel"])
def test_predicts_the_same_after_loading(fitted, digits, tmp_path, name):
    path = fitted.save(str(tmp_path / name))
    assert path == tmp_path / name
    assert path.is_dir() == (path.suffix == "")
    loaded = ImageClassification.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(digits.X[:50]), fitted.predict_proba(digits.X[:50]))
    assert loaded.evaluate(*digits.test) == fitted.evaluate(*digits.test)


def test_a_loaded_classifier_tells_the_same_of_itself(fitted, saved, digits, tmp_path):
    import pandas as pd

    loaded = ImageClassifier.load(saved)
    pd.testing.assert_frame_equal(loaded.leaderboard(), fitted.leaderboard())
    assert loaded.fit_summary() == fitted.fit_summary()
    assert loaded.validation_score_ == fitted.validation_score_
    assert loaded.fit_seconds_ == fitted.fit_seconds_
    loaded.explain(digits.X[0].reshape(8, 8))
    with pytest.raises(OptionError, match="loaded classifier"):
        loaded.plot("curves")
    with pytest.raises(OptionError, match="loaded classifier"):
        loaded.report(tmp_path / "report.html")
    again = ImageClassifier.load(loaded.save(tmp_path / "again"))
    np.testing.assert_array_equal(again.predict_proba(digits.X[:9]), fitted.predict_proba(digits.X[:9]))


def test_loads_in_a_fresh_process(saved, fitted, digits, tmp_path):
    np.save(tmp_path / "X.npy", digits.X[:9])
    code = (
        "import sys, numpy as np, torch; torch.set_num_threads(1)\n"
        "from autodl import ImageClassification\n"
        "c = ImageClassification.load(sys.argv[1])\n"
        "np.save(sys.argv[3], c.predict_proba(np.load(sys.argv[2])))"
    )
    arguments = [str(saved), str(tmp_path / "X.npy"), str(tmp_path / "probs.npy")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=120)
    np.testing.assert_array_equal(np.load(tmp_path / "probs.npy"), fitted.predict_proba(digits.X[:9]))


def test_the_files_are_the_same_each_time(fitted, tmp_path):
    one, two = fitted.save(tmp_path / "one.autodl"), fitted.save(tmp_path / "two.autodl")
    assert one.read_bytes() == two.read_bytes()


def test_nothing_is_unpickled_and_no_torch_load(saved, digits, monkeypatch):
    def forbidden(*_args, **_kwargs):
        raise AssertionError("loading must not unpickle")

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(module, name, forbidden)
    load = np.load
    monkeypatch.setattr(np, "load", lambda *a, **k: forbidden() if k.get("allow_pickle") else load(*a, **k))
    ImageClassifier.load(saved).predict(digits.X[:2])


# ---------------------------------------------------------------------- where it may write


def test_refuses_to_replace_a_directory_with_strangers(fitted, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/holiday.jpg").write_bytes(b"mine")
    with pytest.raises(OptionError, match=r"photos holds 1 other file\(s\) \(holiday.jpg"):
        fitted.save(tmp_path / "photos")
    assert (tmp_path / "photos/holiday.jpg").read_bytes() == b"mine"
    assert {p.name for p in (tmp_path / "photos").iterdir()} == {"holiday.jpg"}


def test_replaces_an_older_predictor_and_leaves_nothing_else(fitted, colours, tmp_path):
    for name in ("model", "model.autodl"):
        colours.save(tmp_path / name)
        fitted.save(tmp_path / name)
        assert len(ImageClassifier.load(tmp_path / name).classes_) == 10
    assert {p.name for p in tmp_path.iterdir()} == {"model", "model.autodl"}
    assert {p.name for p in (tmp_path / "model").iterdir()} == FILES


def test_refuses_a_file_where_a_directory_is_asked_for_and_the_reverse(fitted, tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(OptionError, match="is a file"):
        fitted.save(tmp_path / "model")
    assert (tmp_path / "model").read_text() == "mine"
    (tmp_path / "model.zip").mkdir()
    with pytest.raises(OptionError, match="is a directory"):
        fitted.save(tmp_path / "model.zip")


@pytest.mark.parametrize("name", ["model", "model.autodl"])
def test_a_full_disk_is_a_named_error_and_keeps_the_older_predictor(
    fitted, colours, tmp_path, monkeypatch, name
):
    path = colours.save(tmp_path / name)

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        patch.setattr(Path, "replace", full)
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(AutoDLError, match="No space left on device"):
            fitted.save(path)
    loaded = ImageClassifier.load(path, net=made.linear(classes=2))
    assert loaded.classes_.tolist() == ["blue", "red"]
    assert {p.name for p in tmp_path.iterdir()} == {name}


# ---------------------------------------------------------------------- damage and tampering


@pytest.mark.parametrize("name", ["missing", "missing.autodl"])
def test_nothing_there(tmp_path, name):
    with pytest.raises(DataNotFoundError, match="no predictor at"):
        ImageClassifier.load(tmp_path / name)


def test_what_is_no_predictor(tmp_path):
    (tmp_path / "text.zip").write_text("hello")
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    for name in ("text.zip", "folder", "other.zip"):
        with pytest.raises(PredictorFormatError, match="is not a saved predictor"):
            ImageClassifier.load(tmp_path / name)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file(saved, name):
    (saved / name).unlink()
    with pytest.raises(PredictorFormatError, match=name):
        ImageClassifier.load(saved)


@pytest.mark.parametrize("position", [10, 500, -10])
def test_changed_weights(saved, position):
    path = saved / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(PredictorFormatError, match=r"checksum of model.safetensors does not match"):
        ImageClassifier.load(saved)


def test_truncated_files(fitted, saved, tmp_path):
    path = saved / "predictor.json"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(PredictorFormatError, match="no valid JSON"):
        ImageClassifier.load(saved)
    archive = fitted.save(tmp_path / "model.autodl")
    whole = archive.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 5):
        archive.write_bytes(whole[:length])
        with pytest.raises(PredictorFormatError):
            ImageClassifier.load(archive)


def test_a_flipped_byte_anywhere_in_the_zip_is_found_or_harmless(fitted, digits, tmp_path):
    archive = fitted.save(tmp_path / "model.autodl")
    whole, expected = archive.read_bytes(), fitted.predict_proba(digits.X[:5])
    for position in np.random.default_rng(0).integers(0, len(whole), 12):
        content = bytearray(whole)
        content[position] ^= 0x40
        archive.write_bytes(content)
        try:
            loaded = ImageClassifier.load(archive)
        except PredictorFormatError:
            continue
        np.testing.assert_array_equal(loaded.predict_proba(digits.X[:5]), expected)


def test_weights_of_another_network_with_a_matching_checksum(saved):
    import safetensors.torch

    weights = safetensors.torch.save({"a": torch.zeros(2)})
    (saved / "model.safetensors").write_bytes(weights)
    rewrite(saved, lambda d: d.update(model_sha256=hashlib.sha256(weights).hexdigest()))
    with pytest.raises(PredictorFormatError, match="do not fit"):
        ImageClassifier.load(saved)


def test_a_newer_version(saved):
    rewrite(saved, lambda d: d.update(version=99))
    with pytest.raises(PredictorFormatError, match=r"version 99.*upgrade autodl"):
        ImageClassifier.load(saved)


WRONG = [None, -1, 10**12, 0.5, "strange", [], True, {"a": 1}]


def leaves(value, path=()):
    """Paths of all values in a document, containers included."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield from leaves(child, (*path, key))


def test_any_wrong_value_in_the_json_is_a_named_error_or_harmless(colours, fitted, tmp_path):
    """Every value of the document, replaced by every kind of other value, or taken away."""
    folder = fitted.save(tmp_path / "model")
    document = json.loads((folder / "predictor.json").read_text())
    places = [p for p in leaves(document) if p[0] not in ("history", "versions") and p[1:2] != (1,)]
    places += [
        ("history",),
        ("history", "validation_score"),
        ("history", "leaderboard"),
        ("history", "seconds"),
    ]
    unnamed = []
    for place in places:
        for wrong in [*WRONG, "gone"]:
            changed = copy.deepcopy(document)
            parent = changed
            for key in place[:-1]:
                parent = parent[key]
            if wrong == "gone":
                del parent[place[-1]]
            else:
                parent[place[-1]] = wrong
            (folder / "predictor.json").write_text(json.dumps(changed))
            try:
                loaded = ImageClassifier.load(folder)
                loaded.leaderboard(), loaded.fit_summary(), repr(loaded)
                loaded.predict(np.zeros((1, 8, 8)))
            except PredictorFormatError:
                pass
            except Exception as error:
                unnamed.append((place, wrong, type(error).__name__, str(error)[:80]))
    assert unnamed == [], "\n".join(map(str, unnamed))


def test_options_of_the_file_cannot_name_weights_or_urls(saved, tmp_path):
    """Only what describes a network is passed on: a file must not make the reader open other files."""
    for options in ({"weights": str(tmp_path / "evil.pth")}, {"weights": "pretrained"}, {"seed": 1}):
        rewrite(saved, lambda d, o=options: d["branches"][0]["network"]["options"].update(o))
        with pytest.raises(PredictorFormatError):
            ImageClassifier.load(saved)


# ---------------------------------------------------------------------- networks of one's own


@ad.obj(hidden=ad.Int(4, 8, default=6))
class TinyNet(nn.Module):
    def __init__(self, num_classes, hidden=6):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(192, hidden), nn.ReLU())
        self.out = nn.Linear(hidden, num_classes)

    def forward(self, x):
        return self.out(self.body(x))


class PlainNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))

    def forward(self, x):
        return self.out(x)


def test_a_decorated_network_is_searched_saved_and_loaded_on_trust(digits, tmp_path, monkeypatch):
    classifier = made.quick(net=TinyNet(), num_trials=2).fit(*digits.train)
    hidden = classifier.leaderboard()["net/hidden"]
    assert hidden.between(4, 8).all()
    path = classifier.save(tmp_path / "model.autodl")
    with pytest.raises(PredictorFormatError, match="TinyNet; pass trust_code=True"):
        ImageClassifier.load(path)
    expected = classifier.predict_proba(digits.X[:9])
    for loaded in (
        ImageClassifier.load(path, trust_code=True),
        ImageClassifier.load(path, net=TinyNet),
        ImageClassifier.load(path, net=TinyNet.cls),
    ):
        np.testing.assert_array_equal(loaded.predict_proba(digits.X[:9]), expected)
    monkeypatch.delattr(sys.modules[__name__], "TinyNet")
    with pytest.raises(PredictorFormatError, match="cannot be imported"):
        ImageClassifier.load(path, trust_code=True)


def test_the_class_itself_can_be_given_as_network(digits, tmp_path):
    classifier = made.quick(net=TinyNet).fit(*digits.train)
    loaded = ImageClassifier.load(classifier.save(tmp_path / "model"), trust_code=True)
    np.testing.assert_array_equal(loaded.predict(digits.X[:9]), classifier.predict(digits.X[:9]))


def test_a_plain_module_is_filled_from_a_module_or_a_class(digits, tmp_path):
    net = PlainNet()
    classifier = made.quick(net=net).fit(*digits.train)
    path = classifier.save(tmp_path / "model")
    expected = classifier.predict_proba(digits.X[:9])
    for given in (net, PlainNet(), PlainNet, lambda: PlainNet()):
        loaded = ImageClassifier.load(path, net=given)
        np.testing.assert_array_equal(loaded.predict_proba(digits.X[:9]), expected)
    loaded = ImageClassifier.load(path, trust_code=True)
    np.testing.assert_array_equal(loaded.predict_proba(digits.X[:9]), expected)


def test_a_module_given_to_load_is_left_alone(digits, tmp_path):
    path = made.quick().fit(*digits.train).save(tmp_path / "model")
    given = made.linear()
    before = given[1].weight.detach().clone()
    ImageClassifier.load(path, net=given)
    torch.testing.assert_close(given[1].weight.detach(), before)


def test_modules_among_choices(digits, tmp_path):
    nets = ad.Categorical(made.linear(), PlainNet(), TinyNet())
    classifier = made.quick(net=nets, num_trials=8, seed=1).fit(*digits.train)
    assert classifier.leaderboard()["net"].nunique() > 1
    path = classifier.save(tmp_path / "model")
    with pytest.raises(PredictorFormatError, match="trust_code=True"):
        ImageClassifier.load(path)


def test_a_classifier_network_is_not_trained_in_place(digits):
    net = build_network("small_resnet", 10, input_size=8, width=4, blocks=1, seed=0)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    made.quick(net=net).fit(*digits.train)
    assert all((before[k] == v).all() for k, v in net.state_dict().items())


@pytest.mark.parametrize(
    "given",
    [made.linear(classes=7), made.linear(side=5), nn.Linear(3, 3), lambda: 1 / 0, lambda **k: "net", int],
    ids=["classes", "size", "shape", "raises", "text", "int"],
)
def test_a_wrong_network_is_a_named_error(digits, tmp_path, given):
    path = made.quick().fit(*digits.train).save(tmp_path / "model")
    with pytest.raises(AutoDLError):
        ImageClassifier.load(path, net=given)


# ---------------------------------------------------------------------- export


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_exported_networks_give_the_same_probabilities(fitted, digits, tmp_path, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnxscript")
        onnxruntime = pytest.importorskip("onnxruntime")
    path = fitted.export(tmp_path / "new" / f"model{suffix}")
    images = torch.from_numpy(np.round(digits.X[:7] / 16 * 255) / 255).float().reshape(-1, 1, 8, 8)
    images = images.expand(-1, 3, -1, -1).contiguous()
    if suffix == ".pt2":
        probs = torch.export.load(path).module()(images).detach().numpy()
    else:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        probs = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
    np.testing.assert_allclose(probs, fitted.predict_proba(digits.X[:7]), atol=1e-4)


def test_export_names_its_formats(fitted, tmp_path):
    with pytest.raises(OptionError, match=r"\.pt2 or \.onnx"):
        fitted.export(tmp_path / "model.h5")
    with pytest.raises(NotFittedError):
        ImageClassifier().export(tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_a_named_error(digits, tmp_path):
    class Branching(PlainNet):
        def forward(self, x):
            return self.out(x) if float(x.detach().sum()) > -1e9 else self.out(-x)

    classifier = made.quick(net=Branching()).fit(*digits.train)
    with pytest.raises(ExportError, match="cannot be exported as pt2"):
        classifier.export(tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []
