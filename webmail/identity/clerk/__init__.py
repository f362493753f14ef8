"""Clerk without ClerkJS: cookies in, a verdict out.

`verdict.decide` is a pure function from the facts of a request to one state. What it cannot know by itself (a fresh
token, the payload behind a nonce, a newer signing key) it asks for as a value; `authenticate.Clerk` fetches that and
asks again. Everything that touches the network is in `backend`, `refresh` and `jwks`.
"""
