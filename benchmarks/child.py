"""Call one function in a fresh process: ``python -m benchmarks.child MODULE:FUNCTION ARGUMENTS_AS_JSON``.

What it returns is printed as the last line, as JSON. The caller decides threads and environment beforehand, which
NumPy and PyTorch read only once.
"""

import json
import sys
from importlib import import_module

if __name__ == "__main__":
    module, _, function = sys.argv[1].partition(":")
    print(json.dumps(getattr(import_module(module), function)(**json.loads(sys.argv[2]))))
