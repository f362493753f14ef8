"""Views: thin. Each reads its request, calls one verb or two inside one transaction, and renders."""
