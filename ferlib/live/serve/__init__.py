"""The web page and its API: `running` for a notebook or a test, `serve` for the command line.

`limits` says what is taken, `desk` reads pictures with a model and detectors that threads share, `app` answers
requests (Flask), `server` carries them (waitress). Pictures stay in memory and are forgotten with the answer.
"""

from ferlib.live.serve.limits import Limits
from ferlib.live.serve.server import running, serve

__all__ = ["Limits", "running", "serve"]
