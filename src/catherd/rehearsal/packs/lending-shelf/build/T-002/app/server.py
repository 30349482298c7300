"""Starts Lending Shelf: `python3 server.py`, then open the address that it prints.

PORT (8000), HOST (127.0.0.1) and APP_DATA (./data: where shelf.db lives) come from the environment.
"""

import os
import signal
import sys
from pathlib import Path

from shelf.routes import ROUTES
from shelf.store import Shelf
from shelf.web import make_server


def main() -> None:
    folder = Path(os.environ.get("APP_DATA", "data"))
    folder.mkdir(parents=True, exist_ok=True)
    shelf = Shelf(folder / "shelf.db")
    server = make_server(shelf, ROUTES, os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000")))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"Lending Shelf is at http://{server.server_name}:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        shelf.close()


if __name__ == "__main__":
    main()
