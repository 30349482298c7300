"""What can go wrong, once: every error a person may see names the place and the fix.

Exit codes of `catherd`: 0 done, 1 your mistake, 3 ours, 75 a human must choose, 130 ^C.
"""


class CatherdError(Exception):
    """Your mistake or your machine's: `where: what`, then `fix: …` that can be pasted or done as it stands.

    `where` is a path, `path:line` or `path:line:col`, or a command; empty when there is no place to name.
    """

    exit = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  fix: {self.fix}" if self.fix else head


class NeedsYou(CatherdError):
    """A person must choose; nothing is wrong and nothing goes on without them."""

    exit = 75


class Fault(CatherdError):
    """Ours: something that the program promised did not hold."""

    exit = 3
