"""What has to be installed for an answer, in MB: SpanQA's one command with its embedded int8 model, and what peers need, each freshly installed by
pip into a folder of its own, in the versions that this Python has. No peer's figure holds a model or Python itself.

    make dist
    python Benchmarks/peers/footprint.py [--command dist/spanqa] [--json FILE]
"""
import argparse
import importlib.metadata
import json
import pathlib
import subprocess
import sys
import tempfile

import engines

PEERS = [["onnxruntime", "tokenizers", "numpy"], ["openvino", "tokenizers", "numpy"], ["torch", "transformers"]]
# What the command loads beside the system's C library.
LIBRARIES = ["openblas", "protobuf-c", "gfortran", "quadmath"]


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6


def libraries(command):
    """The shared libraries that the command needs, by name, with their sizes."""
    found = {}
    for line in subprocess.run(["ldd", str(command)], check=True, capture_output=True, text=True).stdout.splitlines():
        name, _, path = line.strip().partition(" => ")
        if path:
            found[name] = pathlib.Path(path.split(" (")[0]).resolve().stat().st_size / 1e6
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", type=pathlib.Path, default=pathlib.Path(__file__).parents[2] / "dist/spanqa")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()

    own = libraries(arguments.command)
    if any("swift" in name or "Foundation" in name for name in own):
        raise SystemExit(f"{arguments.command} needs Swift's libraries: {', '.join(own)}")
    extra = {name: megabytes for name, megabytes in own.items() if any(part in name for part in LIBRARIES)}
    figures = {"spanqa": arguments.command.stat().st_size / 1e6}
    rows = [["SpanQA, with the embedded int8 model", f"{figures['spanqa']:.1f}"],
            ["its libraries: " + ", ".join(extra), f"{sum(extra.values()):.1f}"]]
    figures["libraries"] = extra
    for packages in PEERS:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", folder]
                + [f"{package}=={importlib.metadata.version(package)}" for package in packages], check=True)
            name = " + ".join(packages)
            figures[name] = size(pathlib.Path(folder))
            rows.append([name, f"{figures[name]:.1f}"])
    print(engines.table(["", "MB"], rows))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
