"""Paths below a prefix: what a task, its pull request and its prompt go by."""


def below(path: str, prefix: str) -> bool:
    """Whether `path` is `prefix` itself or, where `prefix` ends with a slash, stands below it.

    >>> below("app/main.py", "app/"), below("app.py", "app.py"), below("app.py", "app")
    (True, True, False)
    """
    return path == prefix or (prefix.endswith("/") and path.startswith(prefix))
