"""Every parser of bytes from outside: each takes any bytes and refuses them in words.

Fed by atheris (`python -m tests.fuzz`, `make fuzz`) and by hypothesis (`tests/property/
test_decoders.py`). A target that raises, hangs, or takes much memory has found a fault.
"""

from tests.fuzz import api, outside

TARGETS = {**api.TARGETS, **outside.TARGETS}
