"""The web page and its API: `server.running_server` for a notebook or a test, `server.run_server` for the command line.

`limits` names what is accepted, `reader` recognises faces for many requests at once, `app` answers requests
(Flask), `server` transports them (waitress). Pictures stay in memory and are forgotten with the answer.
"""
