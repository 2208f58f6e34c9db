"""What a call logs, for tests under hypothesis too, which cannot use the fixture `caplog`."""

import logging

from ferlib.common.errors import logger


def captured(function, *arguments, **keywords):
    """(result, lines that the logger "ferlib" got) of a call."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    try:
        return function(*arguments, **keywords), lines
    finally:
        logger.removeHandler(handler)
