"""What a model costs: LiteLLM's own table, read as a file, or a price that you state.

Importing LiteLLM takes seconds, so its table is read without it. `options: {price:
"2.50/10.00"}` in an agent's YAML is dollars per million tokens, in and out. `price:
free` is for a model on your own machine. A paid model without a price is never called:
LiteLLM would report its cost as zero.
"""

import os
import re
import sys
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import msgspec

from catherd.core.model import ModelError, Request

# Tokens of thinking that there is room for; LiteLLM asks Claude for less.
EFFORT = {"low": 2048, "medium": 6144, "high": 16384}
_TABLE = "model_prices_and_context_window_backup.json"
_STATED = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)\Z")
_ABOVE = re.compile(r"input_cost_per_token_above_(\d+)k_tokens\Z")


class PriceStep(NamedTuple):
    """Dollars per token of a call whose prompt is longer than `above` tokens."""

    above: int
    prompt: float
    completion: float


class Price(msgspec.Struct, frozen=True):
    """Dollars per token.

    `tiers` ascend. `room` is the context window in tokens; 0 means unknown.
    """

    prompt: float
    completion: float
    cached: float
    written: float
    tiers: tuple[PriceStep, ...] = ()
    room: int = 0

    def usd(self, prompt: int, cached: int, written: int, completion: int) -> float:
        """Dollars for a call.

        `prompt` counts all tokens of the prompt, `cached` and `written` those read from
        and put into a cache.
        """
        factor, out = 1.0, self.completion
        for tier in self.tiers:
            if prompt > tier.above and self.prompt:
                factor, out = tier.prompt / self.prompt, tier.completion
        plain = max(0, prompt - cached - written)
        usd_in = plain * self.prompt + cached * self.cached + written * self.written
        return factor * usd_in + completion * out

    def worst(self, prompt: int, completion: int) -> float:
        """Dollars that such a call costs at most.

        Nothing is cached, all of it is written to the cache, every token is used.
        """
        dearer, top_out = 1.0, self.completion
        for tier in self.tiers:
            if prompt > tier.above:
                top_out = max(top_out, tier.completion)
                if self.prompt:
                    dearer = max(dearer, tier.prompt / self.prompt)

        top_in = max(self.prompt, self.written) * dearer
        return prompt * top_in + completion * top_out


def price_of(model: str, options: dict[str, str] | None = None) -> Price:
    """The price of `model`.

    Raises ModelError("unpriced") when it is unknown or zero and not stated as free, and
    when a model that has a price is stated as free, unless it is on a server of your
    own.
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
    if stated:
        return _stated(stated)
    row = _row(model)
    if row is not None:
        return _of_row(row)
    if not installed():
        raise ModelError(
            "unpriced", "LiteLLM is not installed here: make debate LIVE=1 installs it"
        )
    raise ModelError(
        "unpriced",
        "the price of this model is unknown: state it as options: price: 2.50/10.00 (dollars per million tokens, in/out)",
    )


def _stated(text: str) -> Price:
    """The price that an agent's options state in dollars per million tokens."""
    found = _STATED.match(text)
    if found:
        come, go = float(found[1]) / 1e6, float(found[2]) / 1e6
        if come > 0 and go > 0:
            return Price(come, go, come, come)
    raise ModelError(
        "unpriced",
        "options: price is 'free' or dollars per million tokens in and out, like 2.50/10.00",
    )


def thinks(model: str) -> bool:
    """Whether the table says that the model thinks before it answers."""
    row = _row(model)
    return bool(row and row.get("supports_reasoning"))


def _row(model: str) -> dict[str, Any] | None:
    """The table's row with a price for `model`.

    It stands under the whole name of the model or, for the same vendor, the bare one.
    """
    vendor, _, bare = model.partition("/")
    bare = bare.removeprefix("responses/")  # only another address of the same model
    for key in (model, bare):
        row = _table().get(key)
        if not isinstance(row, dict):
            continue
        maker = row.get("litellm_provider")
        if key == bare and maker not in {vendor, f"{vendor}-chat-models"}:
            continue
        come = _number(row.get("input_cost_per_token"))
        go = _number(row.get("output_cost_per_token"))
        if come > 0 and go > 0:
            return row

    return None


def _of_row(row: dict[str, Any]) -> Price:
    """The price that a row of the table tells."""
    come = _number(row.get("input_cost_per_token"))
    go = max(
        _number(row.get("output_cost_per_token")),
        _number(row.get("output_cost_per_reasoning_token")),
    )
    tiers = []
    for name, value in row.items():
        found = _ABOVE.match(name)
        if found:
            out = _number(row.get(name.replace("input", "output", 1))) or go
            tiers.append(PriceStep(int(found[1]) * 1000, _number(value), out))

    return Price(
        prompt=come,
        completion=go,
        cached=_number(row.get("cache_read_input_token_cost")) or come,
        written=_number(row.get("cache_creation_input_token_cost")) or come,
        tiers=tuple(sorted(tiers)),
        room=int(_number(row.get("max_input_tokens"))),
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
    """The max_tokens that is sent.

    It is room for the answer, and for the thinking of models that think, which counts
    as output. Without that a model that thinks spends all of a ballot's tokens on
    thinking and answers nothing. It is never more than the table says that the model
    can, which its vendor would refuse.
    """
    options = options or {}
    top = int(_number((_row(model) or {}).get("max_output_tokens"))) or sys.maxsize
    if options.get("max_tokens", "").isdecimal():
        return min(int(options["max_tokens"]), top)
    effort = options.get("effort", "")
    # Claude thinks only when told to.
    thinks_unasked = thinks(model) and not model.startswith("anthropic/")
    room = 0
    if effort or thinks_unasked:
        room = EFFORT.get(effort, EFFORT["medium"])
    return min(max_tokens + room, top)


def estimate(request: Request) -> int:
    """Tokens of the prompt, at most.

    A tokenizer makes no more than one of each byte of UTF-8, whatever the text is.
    Prose has four or five bytes a token, SVG paths and digits two, Amharic one: no
    smaller bound holds for all. Around each message a vendor puts a few tokens of its
    own.
    """
    texts = [request.system]
    texts += [said.content + said.thinking for said in request.messages]
    return sum(_bytes_of(text) + 16 for text in texts) + 64


def _bytes_of(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
