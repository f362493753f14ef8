"""A local stand-in for Clerk: its protocol, its hosted pages, its Backend API and its webhooks, offline.

For development and tests alone; `guards` refuses everything else. What it answers is what the web app's middleware
expects of the real service, so that the same code runs against both and only the CLERK_* settings differ.
Its pages stand for Clerk's own and are in English, as they are no part of the product.
"""
