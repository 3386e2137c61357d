"""The wheel and the sdist of this checkout, and environments to install them into."""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.packaging.environments import Environment
from tests.support.processes import ROOT
from tests.support.redis_server import RedisServer


class Built(NamedTuple):
    """What a release would consist of, and the wheel that others build from its sdist."""

    wheel: Path
    sdist: Path
    wheel_of_sdist: Path


@pytest.fixture(scope="package")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    _build(ROOT, folder, "wheel", "sdist")
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    _build(folder / sdist.name.removesuffix(".tar.gz"), folder / "again", "wheel")
    (wheel,) = folder.glob("*.whl")
    (wheel_of_sdist,) = (folder / "again").glob("*.whl")
    return Built(wheel, sdist, wheel_of_sdist)


@pytest.fixture(scope="package")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The dependencies alone: this package is not installed."""
    return Environment(tmp_path_factory.mktemp("bare") / "venv")


@pytest.fixture(scope="package")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment into which the wheel was installed."""
    environment = Environment(tmp_path_factory.mktemp("installed") / "venv")
    environment.install(built.wheel)
    return environment


@pytest.fixture(scope="package")
def server() -> Iterator[RedisServer]:
    """The broker lies on it too, so it is not the server that other tests share."""
    with RedisServer() as running:
        yield running


def _build(project: Path, folder: Path, *targets: str) -> None:
    arguments = [argument for target in targets for argument in ("--target", target)]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(folder), *arguments],
        cwd=project,
        check=True,
        capture_output=True,
    )
