"""Tiny wheels, and a package index of them in a folder."""

import base64
import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


class Package(NamedTuple):
    """One release of a package that installs one empty module.

    Args:
        name: as on the index: lower case, words joined by `-`.
        version: of this release.
        requires: requirements, as in `Requires-Dist`.
        extras: names of the extras that this release has.

    Example:
        >>> Package("carrier", "1.0", requires=("cargo[heavy]>=1",))
    """

    name: str
    version: str
    requires: Sequence[str] = ()
    extras: Sequence[str] = ()

    @property
    def pin(self) -> str:
        """Return `name==version`."""
        return f"{self.name}=={self.version}"

    def metadata(self) -> str:
        """Return the text of `METADATA`."""
        lines = ["Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.version}"]
        lines += [f"Provides-Extra: {extra}" for extra in self.extras]
        lines += [f"Requires-Dist: {requirement}" for requirement in self.requires]
        return "\n".join(lines) + "\n"


class Wheel(NamedTuple):
    """A wheel on disk, and its SHA-256 as 64 hexadecimal digits."""

    package: Package
    path: Path
    sha256: str

    def locked(self) -> str:
        """Return the line of a lock file that pins this wheel."""
        return f"{self.package.pin} --hash=sha256:{self.sha256}\n"


def build_wheel(package: Package, folder: Path) -> Wheel:
    """Write the wheel of a release into the folder, and return it."""
    module = package.name.replace("-", "_")
    info = f"{module}-{package.version}.dist-info"
    files = {f"{module}.py": "", f"{info}/METADATA": package.metadata(), f"{info}/WHEEL": _WHEEL}
    record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-{package.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return Wheel(package, path, hashlib.sha256(path.read_bytes()).hexdigest())


def build_index(packages: Sequence[Package], folder: Path) -> dict[tuple[str, str], Wheel]:
    """Make the folder a package index of these releases, and return their wheels by name and version.

    The URL of the folder serves as `--index-url`.
    """
    wheels = [build_wheel(package, folder / package.name) for package in packages]
    for name in {package.name for package in packages}:
        of_name = [wheel for wheel in wheels if wheel.package.name == name]
        links = (f'<a href="{each.path.name}#sha256={each.sha256}">{each.path.name}</a>' for each in of_name)
        (folder / name / "index.html").write_text("<!DOCTYPE html>\n" + "\n".join(links))
    return {(wheel.package.name, wheel.package.version): wheel for wheel in wheels}


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
