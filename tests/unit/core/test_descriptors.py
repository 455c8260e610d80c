import json
import subprocess
import sys

CHECK = """
import json, resource
from reconciler.core import descriptors
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
print(json.dumps([descriptors.allow_many(), *resource.getrlimit(resource.RLIMIT_NOFILE), hard]))
"""


def test_the_soft_limit_becomes_the_hard_one():
    # In a process of its own: the limit is the whole process's.
    told = subprocess.run([sys.executable, "-c", CHECK], check=True, capture_output=True).stdout
    assert len(set(json.loads(told))) == 1
