"""Lists the trained models that come with the package.

python -m zoo list
python -m zoo list --json
"""

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one line of JSON")


def run(args: argparse.Namespace) -> None:
    from zoo import presets

    found = presets.list_presets()
    if args.json:
        print(json.dumps(found))
        return
    width = max(map(len, found), default=0)
    for name, description in found.items():
        print(f"{name:{width}}  {description}")
