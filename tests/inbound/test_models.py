"""What inbound imports is whole by itself: the rows it writes refer to no table that only other processes know."""

import subprocess
import sys

WRITES = """
import inbound.store
from sqlalchemy import inspect
from webmail.mail.models import Message, MessageSource
from webmail.work import Work
for model in (Message, MessageSource, Work):
    for key in inspect(model).local_table.foreign_keys:
        print(key.column)
"""


def test_every_row_that_inbound_writes_refers_to_what_it_knows():
    done = subprocess.run([sys.executable, "-c", WRITES], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-500:]
    assert "folder.folder_id" in done.stdout
