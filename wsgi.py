"""The web application for a WSGI server: `gunicorn wsgi:app`."""

from webmail import create_app

app = create_app()
