#!/bin/sh
# Resolve pyproject.toml for every supported Python into requirements.lock: names, versions and hashes only.
set -eu
cd "$(dirname "$0")/.."
.venv/bin/python -m pip install --quiet --disable-pip-version-check uv
.venv/bin/uv pip compile pyproject.toml --extra service --extra estimators --extra reference --group dev --universal --python-version 3.11 \
    --generate-hashes --no-header --no-emit-index-url --no-annotate --quiet --upgrade -o requirements.lock
