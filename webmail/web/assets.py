"""Static files: copied once under a name made from their content, compressed ahead, served with a cache time of a year."""

import gzip
import os
import re
import shutil
from hashlib import sha256
from pathlib import Path

import brotli
from flask import Flask
from whitenoise import WhiteNoise

STATIC = Path(__file__).parent.parent / "static"
_TEXT = {".css", ".js", ".svg", ".txt"}
_COMMENT = re.compile(rb"^[ \t]*/\*[^*]*\*/\n", re.MULTILINE)


def version() -> str:
    """Ten letters that change when any static file changes."""
    digest = sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(STATIC)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:10]


def lean(path: Path) -> bytes:
    """A static file as it is served: our own without the comments that stand on lines of their own, others as they came."""
    content = path.read_bytes()
    ours = "vendor" not in path.parts and path.suffix in (".css", ".js")
    return _COMMENT.sub(b"", content) if ours else content


def prepare(folder: Path) -> Path:
    """Put the compressed files of this version below `folder`, if they are not there yet; where they are.

    Written beside and renamed, so that two processes starting at once do not serve half a file.
    """
    target = folder / f"static-{version()}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(f"{target}.{os.getpid()}")
    shutil.copytree(STATIC, scratch)
    for path in [item for item in scratch.rglob("*") if item.suffix in _TEXT]:
        content = lean(path)
        path.write_bytes(content)
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content, 9, mtime=0))
        path.with_name(path.name + ".br").write_bytes(brotli.compress(content, quality=11))
    try:
        scratch.rename(target)
    except OSError:
        shutil.rmtree(scratch)
    return target


def init_app(app: Flask, folder: Path) -> None:
    """Serve the static files of this version, and give templates `static_url`."""
    prefix = f"/static/{version()}/"
    served = WhiteNoise(app.wsgi_app, max_age=31_536_000, immutable_file_test=lambda _path, _url: True)
    served.add_files(str(prepare(folder)), prefix=prefix)
    app.wsgi_app = served  # type: ignore[method-assign]
    app.add_template_global(lambda name: prefix + name, "static_url")
