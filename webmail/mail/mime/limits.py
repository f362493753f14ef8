"""What a message may cost. Each number is a test: at it, and one over."""

from typing import Final

MAX_HEADER_BLOCK: Final = 256 * 1024  # octets of one header block that are read
MAX_HEADER: Final = 32 * 1024  # octets of one header value that are read; the stdlib is quadratic beyond
MAX_HEADERS: Final = 1000  # headers of one block
MAX_DEPTH: Final = 50  # multiparts within multiparts
MAX_PARTS: Final = 1000  # parts within a message, containers included, the root not counted
MAX_BOUNDARY: Final = 2048  # octets; RFC 2046 allows 70
MAX_PARAMS: Final = 100  # parameters of one header
MAX_SEGMENTS: Final = 100  # RFC 2231 segments of one parameter
MAX_REFERENCES: Final = 100  # the last ones
MAX_MESSAGE_ID: Final = 998  # characters; a longer one is no id
MAX_NAME: Final = 150  # characters of an attachment's name
MAX_BODY: Final = 2 * 1024 * 1024  # decoded octets of all text bodies together, and again of all HTML bodies
MAX_PROBLEMS: Final = 100
