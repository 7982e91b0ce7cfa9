"""The saved predictor: ``model.safetensors`` and ``predictor.json``, in a directory or one zip file.

Reading never unpickles and never runs code from the files. A user's own network names its import
path, which is followed only when the caller trusts it.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from autodl.errors import DataNotFoundError, OptionError, PredictorFormatError, StorageError
from autodl.models import build_network, wrap_module
from autodl.models.classifier import Classifier
from autodl.models.weights_io import write_atomically
from autodl.nas import Space
from autodl.nas.space_factory import SpaceFactory
from autodl.spaces import ObjectSpec
from autodl.tasks import predictor_document
from autodl.tasks.ensemble_network import Branch, BranchSpec, EnsembleNetwork, NetworkSpec, empty_head
from autodl.tasks.open_network import ARCH, build_own, build_published, is_published

FORMAT = "autodl-predictor"
VERSION = 1
MODEL_FILE = "model.safetensors"
JSON_FILE = "predictor.json"
ZIP_SUFFIXES = (".zip", ".autodl")

NetFactory = Callable[..., nn.Module] | nn.Module | Space | SpaceFactory


def save_predictor(path: str | Path, network: EnsembleNetwork, facts: Mapping[str, Any]) -> Path:
    """Write a predictor; an existing one at `path` is replaced only once the new one is complete.

    Args:
        path: a directory, or a file name ending in ``.zip`` or ``.autodl`` for one zip file.
        network: the weights.
        facts: JSON-able; what besides the network is needed (class names, preprocessing, history).
    """
    path = Path(path)
    model = safetensors.torch.save({k: v.contiguous() for k, v in network.state_dict().items()})
    document = {
        "format": FORMAT,
        "version": VERSION,
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "branches": [spec.to_json() for spec in network.specs],
        **facts,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode()
    write = _write_zip if path.suffix in ZIP_SUFFIXES else _write_directory
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, {MODEL_FILE: model, JSON_FILE: text})
    except OSError as error:
        raise StorageError(f"cannot save the predictor to {path}: {error}") from error
    return path


def _write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    if path.is_dir():
        raise OptionError(f"{path} is a directory; a name ending in {path.suffix} is written as one zip file")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # ZipInfo: no time stamp, same bytes each time
    write_atomically(path, buffer.getvalue())


def _write_directory(path: Path, files: Mapping[str, bytes]) -> None:
    if path.exists() and not path.is_dir():
        raise OptionError(f"{path} is a file; name a directory, or a file ending in .zip or .autodl")
    strangers = sorted(p.name for p in path.iterdir() if p.name not in files) if path.exists() else []
    if strangers:
        raise OptionError(
            f"{path} holds {len(strangers)} other file(s) ({', '.join(strangers[:3])}, ...); "
            "name a directory that is new, empty, or an older predictor"
        )
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        (temporary / "new").mkdir()
        for name, content in files.items():
            (temporary / "new" / name).write_bytes(content)
        older = temporary / "older"
        if path.exists():
            path.replace(older)
        try:
            (temporary / "new").replace(path)
        except OSError:
            if older.exists():
                older.replace(path)
            raise
        shutil.rmtree(temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def load_predictor(
    path: str | Path, *, trust_code: bool = False, net: NetFactory | None = None
) -> tuple[EnsembleNetwork, dict[str, Any]]:
    """Read a predictor: the network, and the facts it was saved with.

    Args:
        path: what `save_predictor` wrote.
        trust_code: allow the import of a user's network class named in the file.
        net: builds the user's network instead (a class, a function, a module to fill, or the space that
            it was searched in).

    Raises:
        DataNotFoundError: nothing there.
        PredictorFormatError: damaged, tampered with, from a newer version, or needing `trust_code`.
    """
    path = Path(path)
    files = _read_files(path)
    document = _parse(files[JSON_FILE], path)
    if document["version"] > VERSION:
        raise PredictorFormatError(
            f"{path} has format version {document['version']}, this autodl reads up to {VERSION}: "
            "upgrade autodl"
        )
    digest = hashlib.sha256(files[MODEL_FILE]).hexdigest()
    if digest != document.get("model_sha256"):
        raise PredictorFormatError(
            f"{path}: the checksum of {MODEL_FILE} does not match {JSON_FILE}; the file is damaged or "
            "was changed: copy the predictor again"
        )
    try:
        state = safetensors.torch.load(files[MODEL_FILE])
        specs = predictor_document.read_branches(document)
        predictor_document.check_facts(document["facts"])
        predictor_document.check_history(document["history"])
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise PredictorFormatError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    return _assemble(specs, state, path, trust_code, net), document


def _read_files(path: Path) -> dict[str, bytes]:
    if not path.exists():
        raise DataNotFoundError(f"no predictor at {path}")
    names = (MODEL_FILE, JSON_FILE)
    try:
        if path.is_dir():
            return {name: (path / name).read_bytes() for name in names}
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in names}
    except (OSError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise PredictorFormatError(
            f"{path} is not a saved predictor: it must hold {MODEL_FILE} and {JSON_FILE} ({error})"
        ) from error


def _parse(text: bytes, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise PredictorFormatError(f"{path}: {JSON_FILE} is no valid JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise PredictorFormatError(f"{path}: {JSON_FILE} does not say that it is an {FORMAT}")
    if not isinstance(document.get("version"), int):
        raise PredictorFormatError(f"{path}: {JSON_FILE} names no format version")
    return document


def _assemble(
    specs: list[BranchSpec], state: dict[str, Tensor], path: Path, trust_code: bool, net: NetFactory | None
) -> EnsembleNetwork:
    branches = []
    for spec in specs:
        try:
            body = build_body(spec.network, trust_code=trust_code, net=net)
        except PredictorFormatError:
            raise
        except Exception as error:  # a constructor, ours or the user's, that gets what it never expected
            raise PredictorFormatError(
                f"{path}: its network {spec.network.name} cannot be built: {type(error).__name__}: {error}"
            ) from error
        classes = spec.network.num_classes
        heads = [empty_head(body.feature_dim, classes) for _ in spec.weights] if spec.frozen else []
        branches.append(Branch(spec, body, heads))
    network = EnsembleNetwork(branches)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise PredictorFormatError(
            f"{path}: the weights do not fit the networks it names: {error}"
        ) from error
    return network.eval()


def build_body(spec: NetworkSpec, *, trust_code: bool = False, net: NetFactory | None = None) -> Classifier:
    """The untrained network a spec names; see `load_predictor` for the arguments."""
    if is_published(spec):
        return build_published(spec)
    if not spec.user_defined:
        # Seeded, so that the caller's global generator is not drawn from; the weights come from the file.
        return build_network(
            spec.name,
            spec.num_classes,
            input_size=spec.preprocessing.input_size,
            seed=0,
            **dict(spec.options),
        )
    if net is None and not trust_code:
        raise PredictorFormatError(
            f"the predictor uses a network of its author's, {spec.name.removesuffix('.cls')}; pass "
            "trust_code=True to import it, or net=... to give the network yourself"
        )
    factory = net if net is not None else _import(spec.name)
    if ARCH in spec.options:
        return build_own(spec, factory)
    if isinstance(factory, Space | SpaceFactory):
        raise PredictorFormatError(f"{spec.name} was not searched in a space; pass the network: net=...")
    module: Any = factory if isinstance(factory, nn.Module) else factory(**dict(spec.options))
    if isinstance(module, ObjectSpec):  # a class decorated with `autodl.obj`
        module = module.build()
    if not isinstance(module, nn.Module):
        raise PredictorFormatError(f"net=... must give a torch.nn.Module, it gave {module!r:.80}")
    wrapped = wrap_module(
        module, spec.num_classes, spec.preprocessing.input_size, spec.preprocessing.channels
    )
    wrapped.preprocessing = spec.preprocessing
    return wrapped


def _import(name: str) -> Callable[..., nn.Module]:
    module_name, _, qualname = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise PredictorFormatError(
            f"the predictor's network {name.removesuffix('.cls')} cannot be imported ({error}); "
            "pass net=... to give it yourself"
        ) from error
    if not callable(found):
        raise PredictorFormatError(f"{name} is no class or function that builds a network")
    return found  # type: ignore[no-any-return]
