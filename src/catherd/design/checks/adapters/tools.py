"""Which tools may be used: those of the extra `plan` that are installed and not hidden.

`CATHERD_WITHOUT=mermaidx,gherkin` hides tools. That shows what a check says without
them.
"""

import importlib.util
import os


def here(module: str) -> bool:
    """Whether a module can be imported and may be used."""
    hidden = os.environ.get("CATHERD_WITHOUT", "").split(",")
    return module not in hidden and importlib.util.find_spec(module) is not None


def need(module: str) -> None:
    """Raise ImportError, naming the module, unless it is here."""
    if not here(module):
        raise ImportError(f"no module named {module}", name=module)
