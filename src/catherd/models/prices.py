"""What a model costs: LiteLLM's own table, read as a file (importing LiteLLM takes seconds), or a price that you state.

`options: {price: "2.50/10.00"}` in an agent's YAML is dollars per million tokens, in and out; `price: free` is for a model
on your own machine. A paid model without a price is never called: LiteLLM would report its cost as zero.
"""

import os
import re
import sys
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import msgspec

from catherd.core.model import ModelError, Request

EFFORT = {
    "low": 2048,
    "medium": 6144,
    "high": 16384,
}  # tokens of thinking there is room for; LiteLLM asks Claude for less
_TABLE = "model_prices_and_context_window_backup.json"
_STATED = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)\Z")
_ABOVE = re.compile(r"input_cost_per_token_above_(\d+)k_tokens\Z")


class Price(msgspec.Struct, frozen=True):
    """Dollars per token. `tiers`: (prompt longer than, in, out), ascending. `room` is the context window in tokens, 0 unknown."""

    prompt: float
    completion: float
    cached: float
    written: float
    tiers: tuple[tuple[int, float, float], ...] = ()
    room: int = 0

    def usd(self, prompt: int, cached: int, written: int, completion: int) -> float:
        """Dollars for a call; `prompt` counts all tokens of the prompt, `cached` and `written` those read from and put into a cache."""
        factor, out = 1.0, self.completion
        for above, tier_in, tier_out in self.tiers:
            if prompt > above and self.prompt:
                factor, out = tier_in / self.prompt, tier_out
        plain = max(0, prompt - cached - written)
        return (
            factor
            * (plain * self.prompt + cached * self.cached + written * self.written)
            + completion * out
        )

    def worst(self, prompt: int, completion: int) -> float:
        """Dollars that such a call costs at most: nothing cached, all of it written to the cache, every token used."""
        tiers = [t for t in self.tiers if prompt > t[0]]
        dearer = max([1.0, *(t[1] / self.prompt for t in tiers if self.prompt)])
        top_in = max(self.prompt, self.written) * dearer
        top_out = max([self.completion, *(t[2] for t in tiers)])
        return prompt * top_in + completion * top_out


def price_of(model: str, options: dict[str, str] | None = None) -> Price:
    """The price of `model`. Raises ModelError("unpriced") when it is unknown or zero and not stated as free, and when what
    has a price is stated as free, unless it is on a server of your own.
    """
    options = options or {}
    stated = options.get("price", "").strip()
    if stated == "free":
        if _row(model) and not options.get("api_base"):
            raise ModelError(
                "unpriced",
                "this model costs money at its vendor: options: price: free needs api_base: beside it, the server of your own",
            )
        return Price(0.0, 0.0, 0.0, 0.0)
    found = _STATED.match(stated)
    if found:
        come, go = float(found[1]) / 1e6, float(found[2]) / 1e6
        if come > 0 and go > 0:
            return Price(come, go, come, come)
    if stated:
        raise ModelError(
            "unpriced",
            "options: price is 'free' or dollars per million tokens in and out, like 2.50/10.00",
        )
    entry = _entry(model)
    if entry is None and not installed():
        raise ModelError(
            "unpriced", "LiteLLM is not installed here: make debate LIVE=1 installs it"
        )
    if entry is None:
        raise ModelError(
            "unpriced",
            "the price of this model is unknown: state it as options: price: 2.50/10.00 (dollars per million tokens, in/out)",
        )
    return entry


def thinks(model: str) -> bool:
    """Whether the table says that the model thinks before it answers."""
    row = _row(model)
    return bool(row and row.get("supports_reasoning"))


def _row(model: str) -> dict[str, Any] | None:
    """The table's row with a price for `model`, under its whole name or, for the same vendor, the bare one."""
    vendor, _, bare = model.partition("/")
    bare = bare.removeprefix("responses/")  # only another address of the same model
    for key in (model, bare):
        row = _table().get(key)
        if not isinstance(row, dict) or (
            key == bare
            and row.get("litellm_provider") not in {vendor, f"{vendor}-chat-models"}
        ):
            continue
        if (
            _number(row.get("input_cost_per_token")) > 0
            and _number(row.get("output_cost_per_token")) > 0
        ):
            return row
    return None


def _entry(model: str) -> Price | None:
    row = _row(model)
    if row is None:
        return None
    come = _number(row.get("input_cost_per_token"))
    go = max(
        _number(row.get("output_cost_per_token")),
        _number(row.get("output_cost_per_reasoning_token")),
    )
    tiers = sorted(
        (
            int(m[1]) * 1000,
            _number(value),
            _number(row.get(name.replace("input", "output", 1))) or go,
        )
        for name, value in row.items()
        if (m := _ABOVE.match(name))
    )
    cached = _number(row.get("cache_read_input_token_cost")) or come
    written = _number(row.get("cache_creation_input_token_cost")) or come
    return Price(
        come,
        go,
        cached,
        written,
        tuple(tiers),
        int(_number(row.get("max_input_tokens"))),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def installed() -> bool:
    """Whether LiteLLM, and with it a table of prices, is there."""
    return bool(_table())


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    """LiteLLM's table of prices, as installed; empty when LiteLLM is not."""
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    try:
        with open(os.path.join(os.path.dirname(spec.origin), _TABLE), "rb") as file:
            return msgspec.json.decode(file.read(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return {}


def token_room(
    model: str, max_tokens: int, options: dict[str, str] | None = None
) -> int:
    """The max_tokens that is sent: room for the answer, and for the thinking of models that think, which counts as output;
    never more than the table says that the model can, which its vendor would refuse.

    Without it a model that thinks spends all of a ballot's tokens on thinking and answers nothing.
    """
    options = options or {}
    top = int(_number((_row(model) or {}).get("max_output_tokens"))) or sys.maxsize
    if options.get("max_tokens", "").isdecimal():
        return min(int(options["max_tokens"]), top)
    effort = options.get("effort", "")
    unasked = thinks(model) and not model.startswith(
        "anthropic/"
    )  # Claude thinks when told to
    return min(
        max_tokens + (EFFORT.get(effort, EFFORT["medium"]) if effort or unasked else 0),
        top,
    )


def estimate(request: Request) -> int:
    """Tokens of the prompt, at most: a tokenizer makes no more than one of each byte of UTF-8, whatever the text is.

    Prose has four or five bytes a token, SVG paths and digits two, Amharic one: no smaller bound holds for all. Around each
    message a vendor puts a few tokens of its own.
    """
    texts = [
        request.system,
        *(said.content + said.thinking for said in request.messages),
    ]
    return sum(len(t.encode("utf-8", "surrogatepass")) + 16 for t in texts) + 64
