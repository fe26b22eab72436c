"""Lists of what is inside a package, in CycloneDX 1.6 (ECMA-424)."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path

from deploy.packages.source import source_date, version

_LICENSE_CLASSIFIER = "License :: OSI Approved :: "


def write_bill_of_materials(built: Path, purl: str, site_packages: Path, wheels: Path) -> None:
    """Write the list of a built file beside it, as NAME.cdx.json.

    Args:
        built: The file.
        purl: Its package URL.
        site_packages: What was installed in it.
        wheels: Folder with the wheels that the libraries came from.
    """
    libraries = sorted(
        (each for each in distributions(path=[str(site_packages)]) if each.name != "lvsctl"),
        key=lambda each: each.name.lower(),
    )
    components = [dict(_component(each, wheels)) for each in libraries]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(source_date(), UTC).isoformat(),
            "component": {
                "type": "application",
                "bom-ref": purl,
                "name": built.name,
                "version": version(),
                "purl": purl,
                "licenses": [{"expression": "Apache-2.0"}],
                "hashes": [_sha256(built)],
            },
        },
        "components": components,
        "dependencies": [{"ref": purl, "dependsOn": [each["bom-ref"] for each in components]}],
    }
    list_file = built.with_name(f"{built.name}.cdx.json")
    list_file.write_text(json.dumps(document, indent=2) + "\n")


def _component(library: Distribution, wheels: Path) -> Iterator[tuple[str, object]]:
    purl = f"pkg:pypi/{library.name.lower().replace('_', '-')}@{library.version}"
    yield "type", "library"
    yield "bom-ref", purl
    yield "name", library.name
    yield "version", library.version
    yield "purl", purl
    yield "licenses", [_license(library)]
    yield "hashes", [_sha256(_wheel_of(library, wheels))]


def _license(library: Distribution) -> Mapping[str, object]:
    metadata = library.metadata
    if "License-Expression" in metadata:
        return {"expression": metadata["License-Expression"]}
    classified = [
        each.removeprefix(_LICENSE_CLASSIFIER)
        for each in metadata.get_all("Classifier") or ()
        if each.startswith(_LICENSE_CLASSIFIER)
    ]
    written = metadata["License"].splitlines() if "License" in metadata else []
    return {"license": {"name": ", ".join(classified) or next(iter(written), "not stated")}}


def _wheel_of(library: Distribution, wheels: Path) -> Path:
    name = library.name.replace("-", "_").replace(".", "_").lower()
    [wheel] = [
        each
        for each in wheels.iterdir()
        if each.name.lower().startswith(f"{name}-{library.version}-")
    ]
    return wheel


def _sha256(file: Path) -> Mapping[str, str]:
    return {"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}
