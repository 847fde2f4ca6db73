"""The only code that imports kubernetes_asyncio: where the API server is and how to prove who we are."""
